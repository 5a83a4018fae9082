"""Checkpoints are whole, strict, and read without executing code."""

import pickle

import pytest
import torch
from torch import nn

from spade_edu.checkpoints import (
    CheckpointError,
    checkpoints,
    load_checkpoint,
    load_weights,
    save_checkpoint,
    save_weights,
)


def test_weights_come_back_unchanged(tmp_path):
    network, other = nn.Conv2d(2, 3, 3), nn.Conv2d(2, 3, 3)
    save_weights(network, tmp_path / "a.safetensors")
    load_weights(other, tmp_path / "a.safetensors")
    assert torch.equal(network.weight, other.weight) and torch.equal(network.bias, other.bias)


def test_half_precision_weights_load_as_float32(tmp_path):
    network = nn.Conv2d(2, 3, 3)
    save_weights(network, tmp_path / "a.safetensors", half=True)
    other = nn.Conv2d(2, 3, 3)
    load_weights(other, tmp_path / "a.safetensors")
    assert other.weight.dtype == torch.float32
    assert torch.equal(other.weight, network.weight.half().float())


@pytest.mark.parametrize(
    ("other", "words"),
    [
        (nn.Conv2d(2, 4, 3), r"weight is \(3, 2, 3, 3\), the network expects \(4, 2, 3, 3\)"),
        (nn.Conv2d(2, 3, 3, bias=False), "unknown entry bias"),
        (nn.BatchNorm2d(3), "lacks running_mean"),
    ],
)
def test_weights_of_another_network_are_refused(tmp_path, other, words):
    save_weights(nn.Conv2d(2, 3, 3), tmp_path / "a.safetensors")
    with pytest.raises(CheckpointError, match=words):
        load_weights(other, tmp_path / "a.safetensors")


def test_truncated_weights_are_refused(tmp_path):
    path = tmp_path / "a.safetensors"
    save_weights(nn.Conv2d(2, 3, 3), path)
    path.write_bytes(path.read_bytes()[:-8])
    with pytest.raises(CheckpointError, match="not a whole safetensors file"):
        load_weights(nn.Conv2d(2, 3, 3), path)


def test_only_the_newest_checkpoints_are_kept_and_unfinished_ones_are_not_seen(tmp_path):
    network = nn.Conv2d(1, 1, 1)
    for step in (1, 2, 3):
        save_checkpoint(tmp_path, step, {"G": network}, {"step": step}, keep=2)
    (tmp_path / ".0000004.part").mkdir()
    assert [p.name for p in checkpoints(tmp_path)] == ["0000002", "0000003"]
    assert load_checkpoint(checkpoints(tmp_path)[-1], {"G": network})["step"] == 3


class Payload:
    """A pickle that would touch a file when loaded."""

    def __init__(self, path):
        self.path = path

    def __reduce__(self):
        return (open, (str(self.path), "w"))


def test_a_pickle_with_code_in_it_is_refused_and_not_run(tmp_path):
    network, touched = nn.Conv2d(1, 1, 1), tmp_path / "touched"
    path = save_checkpoint(tmp_path / "c", 1, {"G": network}, {"step": 1})
    torch.save({"step": Payload(touched)}, path / "state.pt", pickle_module=pickle)
    with pytest.raises(CheckpointError, match="not a whole checkpoint"):
        load_checkpoint(path, {"G": network})
    assert not touched.exists()
