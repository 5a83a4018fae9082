"""Two gloo processes with half a batch each against one process with the whole batch."""

import dataclasses
import socket

import pytest
import torch
import torch.distributed as dist

from spade_edu import distributed
from spade_edu.config import TrainingConfig
from spade_edu.data.streets import Streets
from spade_edu.errors import UserError
from spade_edu.labels import instance_edges, one_hot
from spade_edu.models import build
from spade_edu.presets import preset
from spade_edu.runs.run import Run
from spade_edu.training import Trainer


def spawn(function, *arguments):
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    torch.multiprocessing.spawn(_join, (port, function, arguments), nprocs=2)


def _join(rank, port, function, arguments):
    torch.set_num_threads(1)
    dist.init_process_group("gloo", init_method=f"tcp://127.0.0.1:{port}", rank=rank, world_size=2)
    function(rank, *arguments)
    distributed.stop()


def whole_batch():
    generator = torch.Generator().manual_seed(0)
    label = torch.randint(4, (4, 8, 8), generator=generator).repeat_interleave(8, 1).repeat_interleave(8, 2)
    # The second half is too varied for distinct windows: both processes must convolve there, or they'd wait forever.
    label[2:] = torch.randint(4, (2, 64, 64), generator=generator)
    segmap = torch.cat([one_hot(label, 4), instance_edges(label)], dim=1)
    image = torch.rand(4, 3, 64, 64, generator=generator) * 2 - 1
    return {"segmap": segmap.double(), "image": image.double()}


def three_steps(batch, fast):
    """Losses, weights, statistics and the last gradients after three steps in float64."""
    torch.set_num_threads(1)
    config = TrainingConfig(height=64, width=64, ngf=2, ndf=2, hidden_channels=4, lambda_vgg=0.0, fast=fast)
    networks = build(config, 5)
    for network in networks[:2]:
        network.double()
    trainer = Trainer(*networks, config)
    losses = [trainer.step(batch) for _ in range(3)]
    found = {f"loss {i} {name}": torch.tensor(v).double() for i, step in enumerate(losses) for name, v in step.items()}
    for letter, network in trainer.named_networks().items():
        found |= {f"{letter} {name}": value for name, value in network.state_dict().items()}
        found |= {f"{letter} gradient of {name}": p.grad for name, p in network.named_parameters()}
    return found


def _train_half(rank, folder):
    for fast in (False, True):
        batch = {name: value[2 * rank : 2 * rank + 2] for name, value in whole_batch().items()}
        torch.save(three_steps(batch, fast), f"{folder}/{fast}{rank}.pt")


def test_two_processes_equal_one_with_the_whole_batch(tmp_path):
    spawn(_train_half, str(tmp_path))
    for fast in (False, True):
        whole = three_steps(whole_batch(), fast)
        halves = [torch.load(tmp_path / f"{fast}{rank}.pt", weights_only=True) for rank in (0, 1)]
        for name, value in whole.items():
            if name.startswith("loss"):  # each process knows the mean over its own images
                torch.testing.assert_close((halves[0][name] + halves[1][name]) / 2, value, msg=name)
            elif not name.endswith(("bias", "running_mean")):  # see test_patterns: biases that a norm cancels
                for half in halves:
                    torch.testing.assert_close(half[name], value, atol=1e-8, rtol=1e-6, msg=f"{name}, fast {fast}")


def make_run(folder):
    config = dataclasses.replace(preset("test", style=True), norm="syncbatch", fast=True, images=4, seed=3)
    size = dict(height=config.height, width=config.width)
    return Run(folder, config, Streets(4, **size), Streets(1, split="val", **size), save_every=1)


def _run_and_resume(rank, folder):
    make_run(f"{folder}/straight").train(progress=False)
    make_run(f"{folder}/stopped").train(until=1, progress=False)
    run = make_run(f"{folder}/stopped")
    run.train(progress=False)
    assert run.step == run.total_steps == 4 and run.writes == (rank == 0)


def test_a_resumed_run_of_two_processes_continues_exactly(tmp_path):
    spawn(_run_and_resume, str(tmp_path))
    files = sorted(p.relative_to(tmp_path / "straight") for p in (tmp_path / "straight").rglob("*.safetensors"))
    last = [f for f in files if "0000004" in str(f)]
    assert len(last) >= 3
    for file in last:
        assert (tmp_path / "straight" / file).read_bytes() == (tmp_path / "stopped" / file).read_bytes(), file
    with pytest.raises(UserError, match="2 process"):  # not with another number of processes
        make_run(tmp_path / "stopped").train(progress=False)


def test_each_process_takes_its_slice_of_every_batch(monkeypatch):
    monkeypatch.setattr(distributed, "processes", lambda: 2)
    shares = []
    for rank in (0, 1):
        monkeypatch.setattr(distributed, "rank", lambda r=rank: r)
        shares.append(distributed.share_of(list(range(8)), 4))
    assert shares == [[0, 1, 4, 5], [2, 3, 6, 7]]
    with pytest.raises(UserError, match="divided among 2"):
        distributed.share_of([0, 1, 2], 3)


@pytest.mark.parametrize(("size", "said"), [("2", "'2' but RANK is not set"), ("many", "'many' but")])
def test_world_size_without_torchrun_is_a_sentence(size, said, monkeypatch):
    """As some batch systems set it."""
    for name in distributed.OF_TORCHRUN:
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("WORLD_SIZE", size)
    monkeypatch.setattr(dist, "init_process_group", lambda *_: pytest.fail("waits for the others"))
    with pytest.raises(UserError, match=f"WORLD_SIZE is {said}.*torchrun --nproc-per-node"):
        distributed.start("cpu")
