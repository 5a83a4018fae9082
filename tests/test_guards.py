"""A long run that can't go on says so in one line and loses nothing."""

import errno
import multiprocessing
import os
import subprocess
import sys
from dataclasses import replace

import pytest
import torch

from spade_edu.checkpoints import CheckpointError, checkpoints
from spade_edu.config import TrainingConfig
from spade_edu.data.streets import Streets
from spade_edu.errors import UserError
from spade_edu.presets import preset
from spade_edu.runs.guards import LONG, LossWatch, TrainingError, memory_advice, only_one
from spade_edu.runs.run import Run

CONFIG = preset("test", epochs=3)  # four steps an epoch


def run(folder, config=CONFIG, **options):
    data = Streets(config.images, height=config.height, width=config.width)
    return Run(folder, config, data, data, **options)


def test_a_second_run_in_the_same_folder_is_refused(tmp_path):
    with only_one(tmp_path), pytest.raises(UserError, match="another run is training here.*--out"):
        run(tmp_path).train(1, progress=False)
    run(tmp_path).train(1, progress=False)  # the folder is free again


def _hold(folder, ready):
    with only_one(folder):
        ready.set()
        os.kill(os.getpid(), 9)


def test_a_killed_run_frees_its_folder(tmp_path):
    ready = multiprocessing.get_context("spawn").Event()
    process = multiprocessing.get_context("spawn").Process(target=_hold, args=(tmp_path, ready))
    process.start()
    process.join()
    assert ready.is_set() and process.exitcode == -9
    with only_one(tmp_path):
        pass


@pytest.mark.parametrize("value", [float("nan"), float("inf")])
def test_a_loss_that_is_no_number_stops_the_run_and_keeps_the_good_weights(tmp_path, value):
    first = run(tmp_path, save_every=5)
    first.train(5, progress=False)
    step = first.trainer.step_tensors

    def broken(batch):
        return {name: loss * value for name, loss in step(batch).items()}

    first.trainer.step_tensors = broken
    with pytest.raises(TrainingError, match=r"Step 6: the loss GAN is (nan|-?inf)\. The weights of step 5 .* lr="):
        first.train(progress=False)
    assert [path.name for path in checkpoints(tmp_path / "checkpoints")] == ["0000005"]


def poisoned(trainer, what):
    """The tensor of a training that the name stands for."""
    moments = trainer.optimizer_g.state[trainer.generator.conv_img.weight]
    return {
        "weights of D": next(trainer.discriminator.parameters()),
        "weights of G": next(b for n, b in trainer.generator.named_buffers() if n.endswith("running_var")),
        "weights of G_ema": trainer.averaged.conv_img.bias,
        "moments of G": moments["exp_avg_sq"],
    }[what]


@pytest.mark.parametrize("what", ["weights of D", "weights of G", "weights of G_ema", "moments of G"])
@pytest.mark.parametrize("value", [float("nan"), float("inf")])
def test_nothing_that_is_no_number_is_ever_saved(tmp_path, what, value):
    """A weight, a running statistic, the averaged copy, a moment of the optimizer."""
    first = run(tmp_path, replace(CONFIG, ema=0.9), save_every=1)
    first.train(1, progress=False)
    with torch.no_grad():
        poisoned(first.trainer, what).view(-1)[-1] = value
    with pytest.raises(TrainingError, match=rf"Step 1: {what} are no longer numbers \(.*\w\)\. The weights of step 1"):
        first.save()
    again = run(tmp_path, replace(CONFIG, ema=0.9))
    again.resume()
    assert again.step == 1 and all(torch.isfinite(t).all() for _, _, t in again.trainer.named_tensors())


@pytest.mark.parametrize("fast", [False, True])
def test_one_overflow_in_16_bits_between_two_looks_is_found_and_spoils_nothing(tmp_path, fast):
    """An activation of G overflows in step 3 alone; the scaler leaves the step out, losses are looked at later."""
    config = replace(CONFIG, precision="fp16", ema=0.9, fast=fast)
    first = run(tmp_path, config, save_every=2)
    first.train(2, progress=False)
    assert first.trainer.config.precision == "fp16" and first.trainer.scaler.is_enabled()
    skipped, passes = int(first.trainer.skipped), []

    def overflow(_module, _inputs, output):
        passes.append(1)
        if len(passes) == 1:
            output.view(-1)[5] = float("inf")

    first.trainer.generator.fc.register_forward_hook(overflow)
    with pytest.raises(TrainingError, match=r"Step 3: the loss \w+ is nan\. The weights of step 2 "):
        first.train(progress=False)
    assert len(passes) > 2 and [p.name for p in checkpoints(tmp_path / "checkpoints")] == ["0000002"]
    assert int(first.trainer.skipped) > skipped
    for what, name, tensor in first.trainer.named_tensors():
        assert torch.isfinite(tensor).all(), (what, name)


def test_steps_that_the_scaler_skips_are_counted_shown_and_kept(tmp_path):
    config = replace(CONFIG, precision="fp16")
    first = run(tmp_path, config, save_every=2)
    first.trainer.scaler = torch.amp.GradScaler("cpu", init_scale=2.0**40)  # overflows in the first steps
    first.train(4, progress=False)
    head, line = (tmp_path / "metrics.csv").read_text().splitlines()
    counted = int(first.trainer.skipped)
    assert counted >= 2 and float(dict(zip(head.split(","), line.split(",")))["skipped"]) == counted
    again = run(tmp_path, config)
    again.resume()
    assert int(again.trainer.skipped) == counted


@pytest.mark.parametrize(
    "error",
    [torch.OutOfMemoryError("CUDA out of memory"), MemoryError(), RuntimeError("can't allocate memory: 9 bytes")],
)
def test_no_memory_left_names_settings_that_need_less(error):
    with pytest.raises(TrainingError) as found, memory_advice(TrainingConfig(batch_size=8)):
        raise error
    for words in ("256x256, batch 8, fp32", "batch_size=4", "checkpointing=true", "fast=true", "spade-edu plan"):
        assert words in str(found.value)


def test_advice_names_nothing_that_is_already_set():
    with pytest.raises(TrainingError) as found, memory_advice(replace(TrainingConfig(), checkpointing=True, fast=True)):
        raise MemoryError
    for words in ("batch_size", "checkpointing", "fast="):
        assert words not in str(found.value)


def test_other_errors_pass_unchanged():
    with pytest.raises(RuntimeError, match="shapes differ"), memory_advice(TrainingConfig()):
        raise RuntimeError("shapes differ")


def test_a_folder_without_any_whole_checkpoint_is_not_begun_again_silently(tmp_path):
    run(tmp_path, save_every=2).train(2, progress=False)
    for path in (tmp_path / "checkpoints").glob("*/D.safetensors"):
        path.write_bytes(path.read_bytes()[:100])
    with pytest.raises(CheckpointError, match="No checkpoint in .* can be read"):
        run(tmp_path).train(4, progress=False)


FULL_DISK = """
import resource, signal, sys
signal.signal(signal.SIGXFSZ, signal.SIG_IGN)  # writing fails with an error instead of a signal
resource.setrlimit(resource.RLIMIT_FSIZE, (20_000, 20_000))
from spade_edu.cli import main
main(sys.argv[1:])
"""


def test_a_full_disk_gives_one_line_and_the_next_start_works(tmp_path):
    """A process that may not write files of more than 20 kB stands for a full disk."""
    command = ["train", "--preset", "test", "--data", "streets", "--out", str(tmp_path / "run")]
    done = subprocess.run([sys.executable, "-c", FULL_DISK, *command], capture_output=True, text=True)
    assert done.returncode == 2 and "Traceback" not in done.stderr, done.stderr
    assert checkpoints(tmp_path / "run" / "checkpoints") == []
    main = [sys.executable, "-m", "spade_edu"]
    subprocess.run([*main, *command], check=True, capture_output=True)
    assert len(checkpoints(tmp_path / "run" / "checkpoints")) == 1


def test_a_full_disk_costs_no_older_checkpoint(tmp_path, monkeypatch):
    first = run(tmp_path, save_every=2)
    first.train(2, progress=False)

    def full(*_, **__):
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr("spade_edu.checkpoints.save_file", full)
    with pytest.raises(OSError, match="No space left"):
        first.train(4, progress=False)
    monkeypatch.undo()
    again = run(tmp_path, save_every=2)
    again.train(4, progress=False)
    assert [path.name for path in checkpoints(tmp_path / "checkpoints")] == ["0000002", "0000004"]


def watched(tmp_path, steps):
    """The watch's words over losses (D_Fake, D_real) of each step, looked at every ten."""
    watch = LossWatch()
    for step, (fake, real) in enumerate(steps, 1):
        watch.see({"GAN": torch.tensor(1.0), "D_Fake": torch.tensor(fake), "D_real": torch.tensor(real)}, step)
        if step % 10 == 0:
            watch.check(tmp_path, None)


IDLE = {
    "from the start": ([(0.0, 0.0)] * 3 * LONG, 1),
    "later": ([(1.0, 0.5)] * 20 + [(0.0, 1e-6)] * LONG, 1),
    "one of two": ([(0.0, 0.4)] * 2 * LONG, 0),
    "with breaks": (([(0.0, 0.0)] * (LONG - 1) + [(0.1, 0.0)]) * 3, 0),
    "too short": ([(0.0, 0.0)] * (LONG - 1), 0),
}


@pytest.mark.parametrize("case", IDLE)
def test_a_discriminator_with_nothing_to_learn_gets_one_line(tmp_path, capsys, case):
    steps, times = IDLE[case]
    watched(tmp_path, steps)
    assert capsys.readouterr().out.count("it tells all images apart") == times


def test_a_training_says_it(tmp_path, capsys):
    """purple images: a rate so high that D's losses are 0"""
    training = run(tmp_path, preset("test", epochs=20))
    step = training.trainer.step_tensors

    def idle(batch):
        return {name: loss * (not name.startswith("D_")) for name, loss in step(batch).items()}

    training.trainer.step_tensors = idle
    training.train(60, progress=False)
    assert capsys.readouterr().out.count("losses have been 0 for 30 steps") == 1
