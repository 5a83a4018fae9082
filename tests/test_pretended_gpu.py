"""The notebooks on a GPU, as far as that can be tried without one: their profile, and every tensor on its device."""

import subprocess
import sys
from pathlib import Path

import pytest
import torch
from pretended_gpu import DEVICE, pretended_gpu

from spade_edu import course

ROOT = Path(__file__).parents[1]
FIRST_CELLS = {"01": 4, "02": 4, "03": 6, "04": 2, "05": 6, "09": 4}  # of code: stage and how many


def test_what_mixes_devices_fails_and_what_does_not_gives_the_same_numbers():
    layer, x = torch.nn.Linear(3, 2), torch.randn(4, 3)
    with pretended_gpu():
        there = torch.nn.Linear(3, 2).to(DEVICE)
        there.load_state_dict(layer.state_dict())
        with pytest.raises(RuntimeError, match="all tensors to be on the same device"):
            there(x)
        with pytest.raises(RuntimeError, match="a GPU's generator"):
            torch.randn(2, device=DEVICE, generator=torch.Generator())
        with pytest.raises(RuntimeError, match="numpy"):
            there.weight.detach().numpy()
        there(x.to(DEVICE)).sum().backward()
        assert there.weight.grad.device.type == DEVICE
        assert torch.equal(there(x.to(DEVICE)).cpu(), layer(x))
        assert torch.tensor([1.0, 2.0], device=DEVICE).add(1).tolist() == [2, 3]


def test_the_gpu_profile_paints_with_the_stored_networks_on_the_device(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv("CITYSCAPES_DATASET", raising=False)
    with pretended_gpu():
        lab = course.start("03")
        (networks, source), (batch, _) = lab.networks("spade"), lab.batch(1)
        assert source.startswith("stored weights") and batch["segmap"].device.type == DEVICE
        z = torch.zeros(1, networks.generator.z_dim, device=DEVICE)
        with torch.no_grad():
            assert networks.generator(batch["segmap"], z).cpu().shape == (1, 3, 64, 128)


@pytest.mark.slow
@pytest.mark.parametrize("stage, cells", FIRST_CELLS.items())
def test_notebooks_begin_on_it(stage, cells, tmp_path):
    (source,) = (ROOT / "notebooks").glob(f"{stage}_*.py")
    command = [sys.executable, ROOT / "tests" / "pretended_gpu.py", source, str(cells)]
    done = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True)
    assert done.returncode == 0, f"{done.stdout[-1000:]}\n{done.stderr[-3000:]}"
