"""A run that is killed goes on to the same weights; a folder holds one configuration."""

import json
import os
import pickle
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file
from torch.utils.data import get_worker_info

from spade_edu import CITYSCAPES, UserError, distributed
from spade_edu.checkpoints import checkpoints
from spade_edu.data import DataError, Sample, Streets
from spade_edu.presets import preset
from spade_edu.runs.guards import TrainingError
from spade_edu.runs.loading import load_networks
from spade_edu.runs.run import Run, data_workers, epoch_order


class Noise:
    """Random label maps and images, augmented with a flip that follows from the epoch (the Dataset protocol)."""

    labels = CITYSCAPES

    def __init__(self, length):
        self.length, self.epoch = length, 1

    def __len__(self):
        return self.length

    def set_epoch(self, epoch):
        self.epoch = epoch

    def __getitem__(self, index):
        random = torch.Generator().manual_seed(index)
        label = torch.randint(35, (32, 64), generator=random)
        image = torch.rand(3, 32, 64, generator=random) * 2 - 1
        if (self.epoch + index) % 2:
            label, image = label.flip(-1), image.flip(-1)
        return Sample(label, label.int(), image, str(index))


class ElsewhereOnly(Noise):
    """Noise that only a process which reads data can have."""

    def __getitem__(self, index):
        assert get_worker_info() is not None
        return super().__getitem__(index)


def make_run(folder, *, images=8, save_every=3, workers=0, **overrides):
    config = preset("test", style=True, ema=0.9, images=images, **overrides)
    noise = ElsewhereOnly(images) if workers else Noise(images)
    return Run(folder, config, noise, Noise(2), save_every=save_every, workers=workers)


def final_weights(folder):
    newest = checkpoints(folder / "checkpoints")[-1]
    return {p.name: load_file(p) for p in sorted(newest.glob("*.safetensors")) if p.stem != "state"}


def assert_same_weights(one, other):
    assert one.keys() == other.keys() == {"G.safetensors", "D.safetensors", "E.safetensors", "G_ema.safetensors"}
    for name in one:
        for key, value in one[name].items():
            assert torch.equal(value, other[name][key]), (name, key)


@pytest.mark.parametrize("every", [1, 3])
def test_a_run_stopped_in_the_middle_ends_with_the_same_weights(tmp_path, every):
    make_run(tmp_path / "whole", d_steps_per_g=every).train(progress=False)
    # Stopped within the first epoch, after a step that is not a checkpoint of the other run.
    for last in (2, 5, None):
        make_run(tmp_path / "parts", d_steps_per_g=every).train(until=last, progress=False)
    assert_same_weights(final_weights(tmp_path / "whole"), final_weights(tmp_path / "parts"))


def test_a_run_of_a_gpu_goes_on_without_one(tmp_path, monkeypatch):
    """Its checkpoint holds two states of random numbers for one process, as one of two processes does."""
    make_run(tmp_path / "whole").train(until=5, progress=False)
    gather = distributed.gather_random_states
    with monkeypatch.context() as on_gpu:
        of_gpu = torch.zeros(16, dtype=torch.uint8)
        on_gpu.setattr(distributed, "gather_random_states", lambda device: [*gather(device), of_gpu])
        make_run(tmp_path / "moved").train(until=2, progress=False)
    make_run(tmp_path / "moved").train(until=5, progress=False)
    assert_same_weights(final_weights(tmp_path / "whole"), final_weights(tmp_path / "moved"))
    monkeypatch.setattr(distributed, "gather_random_states", lambda device: gather(device) + gather(device))
    make_run(tmp_path / "two").train(until=2, progress=False)
    with pytest.raises(UserError, match="2 process.*there are 1"):
        make_run(tmp_path / "two").train(until=5, progress=False)


def test_a_run_in_channels_last_goes_on_with_moments_in_that_format(tmp_path):
    """Fused Adam takes no other, and files hold rows."""
    options = dict(channels_last=True, fast=True, precision="fp32")
    make_run(tmp_path / "whole", **options).train(until=3, progress=False)
    make_run(tmp_path / "parts", **options).train(until=1, progress=False)
    run = make_run(tmp_path / "parts", **options)
    run.resume()
    for parameter, values in run.trainer.optimizer_g.state.items():
        assert values["exp_avg"].stride() == values["exp_avg_sq"].stride() == parameter.stride()
    run.train(until=3, progress=False)
    assert_same_weights(final_weights(tmp_path / "whole"), final_weights(tmp_path / "parts"))


def test_processes_that_read_data_change_nothing(tmp_path, monkeypatch):
    make_run(tmp_path / "none").train(until=5, progress=False)
    make_run(tmp_path / "two", workers=2).train(until=5, progress=False)
    assert_same_weights(final_weights(tmp_path / "none"), final_weights(tmp_path / "two"))
    monkeypatch.setattr(os, "cpu_count", lambda: 6)
    streets, noise, cuda = Streets(2, height=32, width=64), Noise(2), torch.device("cuda")
    assert data_workers(noise, cuda) == 6
    assert data_workers(streets, cuda) == data_workers(noise, torch.device("cpu")) == 0
    monkeypatch.setattr("spade_edu.data.streets.dataset.CACHE_BYTES", 3 * 32 * 64 * 8)
    fits, too_many = (Streets(length, height=32, width=64) for length in (3, 4))
    assert data_workers(fits, cuda) == 0 and data_workers(too_many, cuda) == 6
    for dataset in streets, noise:  # where processes aren't forked
        assert torch.equal(pickle.loads(pickle.dumps(dataset))[1].label, dataset[1].label)


class Broken(Noise):
    """Noise with one picture that can't be read, or whose reader is killed as a system without memory does it."""

    def __init__(self, length, error):
        super().__init__(length)
        self.error = error

    def __getitem__(self, index):
        last = epoch_order(self.length, 0, 1)[-1]
        if index == last and self.error:
            raise self.error
        if index == last:
            time.sleep(3)  # until the training waits: its shapes, which only tests check, would wrap torch's error up
            os.kill(os.getpid(), signal.SIGKILL)
        return super().__getitem__(index)


def with_reader(folder, error):
    config = preset("test", images=8, epochs=4)
    return Run(folder, config, Broken(8, error), Noise(2), save_every=1, workers=1)


@pytest.mark.parametrize(
    "error", [DataError("b.png: expected a map of ids, found an empty file."), FileNotFoundError(2, "gone", "b.png")]
)
def test_an_error_in_a_process_that_reads_is_the_line_that_it_would_be_without(tmp_path, error):
    with pytest.raises(type(error)) as found:
        with_reader(tmp_path, error).train(progress=False)
    assert str(found.value) == str(error) and "b.png" in str(found.value)


@pytest.mark.skipif(not hasattr(signal, "SIGKILL"), reason="needs SIGKILL")
def test_a_killed_process_that_reads_is_said_and_the_checkpoint_kept(tmp_path):
    run = with_reader(tmp_path, None)
    with pytest.raises(
        TrainingError, match=r"read the data was ended.*weights of step .*/dev/shm.*--workers 0"
    ) as found:
        run.train(progress=False)
    assert len(str(found.value).splitlines()) == 1
    again = Run(tmp_path, run.config, Noise(8), Noise(2), workers=0)
    again.resume()
    assert again.step == run.saved >= 1


def test_other_seed_other_weights(tmp_path):
    make_run(tmp_path / "a").train(until=1, progress=False)
    make_run(tmp_path / "b", seed=1).train(until=1, progress=False)
    one, other = final_weights(tmp_path / "a")["G.safetensors"], final_weights(tmp_path / "b")["G.safetensors"]
    assert not torch.equal(one["conv_img.weight"], other["conv_img.weight"])


KILLED = """
import os, signal, sys
from pathlib import Path
import torch
torch.set_num_threads(1)
sys.path.insert(0, {tests!r})
from test_runs import make_run
run = make_run(Path({folder!r}), save_every=2)
after_step = run.after_step
def die(values, bar, last):
    after_step(values, bar, last)
    if run.step == {step}:
        os.kill(os.getpid(), signal.SIGKILL)
run.after_step = die
run.train(progress=False)
"""


@pytest.mark.skipif(not hasattr(signal, "SIGKILL"), reason="needs SIGKILL")
def test_a_run_killed_with_sigkill_ends_with_the_same_weights(tmp_path):
    torch.set_num_threads(1)
    make_run(tmp_path / "whole", save_every=2).train(progress=False)
    code = KILLED.format(tests=str(Path(__file__).parent), folder=str(tmp_path / "killed"), step=5)
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, env=dict(os.environ, OMP_NUM_THREADS="1"))
    assert done.returncode == -signal.SIGKILL, done.stderr.decode()[-500:]
    assert checkpoints(tmp_path / "killed" / "checkpoints")[-1].name == "0000004"
    make_run(tmp_path / "killed", save_every=2).train(progress=False)
    assert_same_weights(final_weights(tmp_path / "whole"), final_weights(tmp_path / "killed"))


def test_a_broken_newest_checkpoint_is_passed_over(tmp_path, capsys):
    make_run(tmp_path).train(until=6, progress=False)
    newest = checkpoints(tmp_path / "checkpoints")[-1]
    (newest / "state.safetensors").write_bytes(b"PK")
    run = make_run(tmp_path)
    run.resume()
    assert run.step == 3
    assert "Passing over a broken checkpoint" in capsys.readouterr().out


def test_networks_come_from_the_newest_whole_checkpoint(tmp_path, capsys):
    run = make_run(tmp_path, save_every=2)
    run.train(4, progress=False)
    newest = tmp_path / "checkpoints" / "0000004" / "G_ema.safetensors"
    newest.write_bytes(newest.read_bytes()[:100])
    networks = load_networks(tmp_path, run.dataset.labels)
    assert "Passing over a broken checkpoint" in capsys.readouterr().out
    older = load_file(tmp_path / "checkpoints" / "0000002" / "G_ema.safetensors")
    assert torch.equal(networks.generator.conv_img.weight, older["conv_img.weight"])


def test_metrics_have_one_line_a_logged_step_after_a_resume(tmp_path):
    make_run(tmp_path).train(until=4, progress=False)
    make_run(tmp_path).train(progress=False)
    steps = [int(line.split(",")[0]) for line in (tmp_path / "metrics.csv").read_text().splitlines()[1:]]
    assert steps == [4, 8]


def test_another_configuration_in_the_same_folder_is_refused(tmp_path):
    make_run(tmp_path).train(1, progress=False)
    with pytest.raises(UserError, match=r"holds a run with lr = 0.0002, now it is 0.1"):
        make_run(tmp_path, lr=0.1)


def test_a_run_from_before_a_setting_existed_goes_on(tmp_path):
    make_run(tmp_path).train(1, progress=False)
    path = tmp_path / "config.json"
    stored = json.loads(path.read_text())
    del stored["checkpointing"]
    path.write_text(json.dumps(stored))
    make_run(tmp_path)
    with pytest.raises(UserError, match="checkpointing = False, now it is True"):
        make_run(tmp_path, checkpointing=True)


def test_fewer_images_than_a_batch_is_refused(tmp_path):
    with pytest.raises(UserError, match="needs as many images"):
        make_run(tmp_path, images=1)


def test_the_saved_generator_is_the_averaged_one(tmp_path):
    trainer = make_run(tmp_path).train(until=3, progress=False)
    loaded = load_networks(tmp_path, CITYSCAPES).generator
    assert torch.equal(loaded.conv_img.weight, trainer.averaged.conv_img.weight)
    assert not torch.equal(loaded.conv_img.weight, trainer.generator.conv_img.weight)


def test_order_is_a_permutation_that_differs_by_epoch_and_seed():
    orders = {(seed, epoch): tuple(epoch_order(50, seed, epoch)) for seed in (0, 1) for epoch in (1, 2)}
    assert all(sorted(order) == list(range(50)) for order in orders.values())
    assert len(set(orders.values())) == 4
    assert orders[0, 1] == tuple(epoch_order(50, 0, 1))


def test_config_json_holds_every_setting(tmp_path):
    run = make_run(tmp_path)
    run.train(1, progress=False)
    stored = json.loads((tmp_path / "config.json").read_text())
    assert stored["z_dim"] == run.config.z_dim and stored["ema"] == 0.9
