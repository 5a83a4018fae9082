"""The versions that may be installed have no published hole in what reads strangers' files: weights and pictures."""

import re
import tomllib
from pathlib import Path

import pytest

PROJECT = tomllib.loads((Path(__file__).parents[1] / "pyproject.toml").read_text(encoding="utf-8"))["project"]

# As of 2026-11-28. Package, first version without the hole, what it was, where it is published. Holes in formats that
# no reader here opens (data/files.py: FORMATS), or in functions that nothing here calls, are left out.
HOLES = [
    ("torch", "2.6", "code run by torch.load(weights_only=True)", "nvd.nist.gov/vuln/detail/CVE-2025-32434"),
    ("torch", "2.10", "memory corrupted by torch.load(weights_only=True)", "nvd.nist.gov/vuln/detail/CVE-2026-24747"),
    ("pillow", "10.0.1", "heap overflow in WebP", "nvd.nist.gov/vuln/detail/CVE-2023-4863"),
    ("pillow", "10.2", "code run by ImageMath.eval", "nvd.nist.gov/vuln/detail/CVE-2023-50447"),
    ("pillow", "10.3", "buffer overflow in colour profiles", "nvd.nist.gov/vuln/detail/CVE-2024-28219"),
]

# What Colab has: github.com/googlecolab/backend-info, pip-freeze.gpu.txt, commit a724079 of 2026-08-19. To renew it:
# curl -s https://raw.githubusercontent.com/googlecolab/backend-info/main/pip-freeze.gpu.txt \
#     | grep -E "^(torch|torchvision|numpy|pillow|matplotlib|scipy|tqdm|typer|safetensors|anywidget|ipywidgets)=="
COLAB = {
    "torch": "2.11.0",
    "torchvision": "0.26.0",
    "numpy": "2.1.3",
    "pillow": "11.3.0",
    "matplotlib": "3.10.0",
    "scipy": "1.16.3",
    "tqdm": "4.67.3",
    "typer": "0.27.1",
    "safetensors": "0.8.0",
    "anywidget": "0.9.21",
    "ipywidgets": "7.7.1",
}


def numbers(version):
    return tuple(map(int, version.split(".")))


def bounds():
    found = [re.fullmatch(r"([\w-]+)>=([\d.]+)", line) for line in PROJECT["dependencies"]]
    assert all(found), "a requirement that isn't a lower bound: these tests wouldn't see it"
    return {match[1]: numbers(match[2]) for match in found}


@pytest.mark.parametrize("package", COLAB)
def test_nothing_is_replaced_on_colab(package):
    assert bounds().get(package, (0,)) <= numbers(COLAB[package])


@pytest.mark.parametrize("package, fixed, hole, source", HOLES, ids=[source.split("/")[-1] for *_, source in HOLES])
def test_no_version_with_a_published_hole_may_be_installed(package, fixed, hole, source):
    assert bounds()[package] >= numbers(fixed), f"{hole}: https://{source}"


def test_torchvision_goes_with_the_oldest_torch():
    """torchvision 0.25 was made for torch 2.10, and so on: the minor version is 15 ahead."""
    (major, minor), (zero, vision) = bounds()["torch"], bounds()["torchvision"]
    assert (major, zero) == (2, 0) and vision == minor + 15
