"""Is this machine ready? Every line is OK, a warning or a failure, with one sentence of advice.

On the command line: `spade-edu doctor`. In a notebook: `from spade_edu.doctor import examine; examine()`.
"""

import errno
import importlib.metadata
import os
import platform
import shutil
import sys
import tempfile
import time
import webbrowser
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import NamedTuple

import torch

from ..data import Streets, stack
from ..data.catalogue import READERS, find
from ..data.cityscapes import ROOT_VARIABLE, is_cityscapes
from ..fast import threads
from ..labels import CITYSCAPES
from ..models import build
from ..presets import preset

OK, WARNING, FAILURE = "OK", "warning", "failure"
GB = 1e9
TIMED = ("cpu", "colab")  # presets whose generators are timed: 64x128 narrow, 128x256 wide
COLAB_MEMORY, PAPER_MEMORY, PAPER_DEVICES = 14 * GB, 30 * GB, 8  # of a GPU; how many GPUs


class Finding(NamedTuple):
    """One line: what was looked at; level: OK, warning or failure; what was found; advice: what to do."""

    what: str
    level: str
    found: str
    advice: str = ""

    def __str__(self) -> str:
        line = f"{self.level:8} {self.what:12} {self.found}"
        if self.advice:
            line += f"\n{'':22}-> {self.advice}"
        return line


@dataclass(frozen=True)
class Findings:
    """All findings; printed, it can be pasted into a bug report (the home folder appears as ~)."""

    findings: list[Finding]

    @property
    def healthy(self) -> bool:
        """Whether nothing failed."""
        return all(finding.level != FAILURE for finding in self.findings)

    def __str__(self) -> str:
        counts = {level: sum(f.level == level for f in self.findings) for level in (WARNING, FAILURE)}
        title = f"spade-edu doctor: {counts[FAILURE]} failure(s), {counts[WARNING]} warning(s)"
        return "\n".join([title, *map(str, self.findings)]).replace(str(Path.home()), "~")

    __repr__ = __str__


def examine(folder: str | Path = "runs", timing: bool = True) -> Findings:
    """Look at everything that training, notebooks and widgets need.

    folder: where runs are to be written. timing: also time a generator (some seconds).
    """
    folder = Path(folder)
    checks: list[Callable[[], list[Finding]]] = [
        python,
        packages,
        device,
        waiting,
        memory,
        lambda: disk(folder),
        lambda: writing(folder),
        data_sets,
        widgets,
        browser,
    ]
    return Findings([f for check in checks + [speed] * timing for f in _safely(check)])


def _safely(check: Callable[[], list[Finding]]) -> list[Finding]:
    """A check that breaks is a finding, too: what is wrong with a machine is not known beforehand."""
    try:
        return check()
    except Exception as error:  # noqa: BLE001
        advice = "Please report this line with the rest."
        return [Finding(getattr(check, "__name__", "check"), FAILURE, f"{type(error).__name__}: {error}", advice)]


def python() -> list[Finding]:
    """Python's version and the machine."""
    found = f"{platform.python_version()} on {platform.system()} {platform.machine()}"
    return [Finding("Python", OK, found)]


def packages() -> list[Finding]:
    """Versions of what the package is built on."""
    names = ("spade-edu", "torch", "torchvision", "numpy", "pillow", "safetensors", "torch-fidelity")
    missing = [name for name in names if _version(name) is None]
    found = ", ".join(f"{name} {_version(name)}" for name in names if name not in missing)
    if missing:
        advice = f"Install what is missing: pip install {' '.join(missing)}"
        return [Finding("Packages", FAILURE, f"{found}; missing: {', '.join(missing)}", advice)]
    if broken := _broken("torch", "torchvision", "numpy", "PIL", "safetensors", "torch_fidelity"):
        advice = "Install it again in this Python: pip install --force-reinstall NAME"
        return [Finding("Packages", FAILURE, f"{found}; {broken}", advice)]
    return [Finding("Packages", OK, found)]


def device() -> list[Finding]:
    """What torch computes on, its memory, and the preset that fits."""
    if torch.cuda.is_available():
        return [_gpu()]
    found = f"CPU, {torch.get_num_threads()} threads; preset that fits: cpu"
    if shutil.which("nvidia-smi"):
        cuda = torch.version.cuda
        found += f"; torch does not see this machine's NVIDIA GPU (torch {torch.__version__}, CUDA {cuda})"
        advice = "Install a torch build with CUDA (pytorch.org/get-started): this one cannot use the GPU."
        if cuda:
            advice = "Update the NVIDIA driver, or install the torch build for its CUDA (pytorch.org/get-started)."
        return [Finding("Device", WARNING, found, advice)]
    if torch.backends.mps.is_available():
        found += "; Apple's GPU: `spade-edu train --device mps --set fast=false`"
    return [Finding("Device", OK, found)]


def _gpu() -> Finding:
    free, total = torch.cuda.mem_get_info()
    count = torch.cuda.device_count()
    fits = "cpu"
    if total >= COLAB_MEMORY:
        fits = "colab"
    if total >= PAPER_MEMORY and count >= PAPER_DEVICES:
        fits = "paper"
    found = f"{count} x {torch.cuda.get_device_name()}, {free / GB:.1f} of {total / GB:.1f} GB free; preset: {fits}"
    if free < total / 2:
        return Finding("Device", WARNING, found, "Another process holds most of the memory: end it, or train smaller.")
    return Finding("Device", OK, found)


def waiting() -> list[Finding]:
    """How long torch's threads wait for each other in a loop."""
    return [Finding("Threads", OK, f"{torch.get_num_threads()}, waiting: {threads.in_force()}", threads.advice())]


def memory() -> list[Finding]:
    """The machine's memory."""
    if not hasattr(os, "sysconf"):  # Windows
        return [Finding("Memory", OK, "not known on this system; the cpu preset needs 4 GB")]
    total = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")
    found = f"{total / GB:.1f} GB"
    if total < 4 * GB:
        return [Finding("Memory", WARNING, found, "Close other programs, or train with smaller --set batch_size=1.")]
    return [Finding("Memory", OK, found)]


def disk(folder: Path) -> list[Finding]:
    """Free space where runs are written."""
    there = next(p for p in (folder.absolute(), *folder.absolute().parents) if p.exists())
    free = shutil.disk_usage(there).free
    found = f"{free / GB:.1f} GB free for {folder.absolute()}"
    if free < 0.5 * GB:
        return [Finding("Disk", FAILURE, found, "Free some space, or give a folder on another disk (--out).")]
    if free < 5 * GB:
        return [Finding("Disk", WARNING, found, "Enough for the demo; a long run or a data set needs more.")]
    return [Finding("Disk", OK, found)]


def writing(folder: Path) -> list[Finding]:
    """Whether a file of 16 MB, about a checkpoint of the cpu preset, can be written to the run folder."""
    made = not folder.exists()
    try:
        folder.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryFile(dir=folder) as file:
            file.write(bytes(16_000_000))
            file.flush()
            os.fsync(file.fileno())
    except OSError as error:
        full = error.errno in (errno.ENOSPC, errno.EFBIG, getattr(errno, "EDQUOT", None))
        advice = "The disk or your quota on it is full: free some space." if full else "Choose another folder (--out)."
        return [Finding("Writing", FAILURE, f"{folder.absolute()}: {error.strerror}", advice)]
    finally:
        if made and folder.is_dir() and not any(folder.iterdir()):
            folder.rmdir()
    return [Finding("Writing", OK, f"{folder.absolute()} takes files")]


def data_sets() -> list[Finding]:
    """Which data sets are found without being told where they are."""
    variable = os.environ.get(ROOT_VARIABLE)
    found = ", ".join([name for name in READERS if find(name)] + ["streets (built in)"])
    if variable and not is_cityscapes(variable):
        advice = f"Set {ROOT_VARIABLE} to the folder that holds leftImg8bit and gtFine, or unset it."
        return [Finding("Data sets", WARNING, f"{found}; {ROOT_VARIABLE}={variable} holds no Cityscapes", advice)]
    return [Finding("Data sets", OK, found)]


def widgets() -> list[Finding]:
    """What the notebooks' widgets need."""
    names = ("jupyterlab", "ipywidgets", "anywidget", "ipykernel")
    missing = [name for name in names if _version(name) is None]
    found = ", ".join(f"{name} {_version(name)}" for name in names if name not in missing) or "none"
    if missing and "google.colab" not in sys.modules:
        advice = f'For notebooks and widgets: pip install "spade-edu[notebooks]" {" ".join(missing)}'
        return [Finding("Widgets", WARNING, f"{found}; missing: {', '.join(missing)}", advice)]
    if broken := _broken("anywidget", "spade_edu.widgets"):
        return [Finding("Widgets", FAILURE, f"{found}; {broken}", "Please report this line with the rest.")]
    return [Finding("Widgets", OK, found)]


def browser() -> list[Finding]:
    """Whether a browser can be opened from here, for JupyterLab and reports."""
    try:
        name = getattr(webbrowser.get(), "name", "") or "the system's default"
    except webbrowser.Error:
        advice = "Open report.html and the address that JupyterLab prints on a machine that has one."
        return [Finding("Browser", WARNING, "none can be started from here", advice)]
    return [Finding("Browser", OK, name)]


def speed() -> list[Finding]:
    """Time one forward and backward pass of the SPADE generator of two presets."""
    where = "cuda" if torch.cuda.is_available() else "cpu"
    return [_timed(name, where) for name in TIMED]


def _timed(name: str, where: str) -> Finding:
    size = f"{preset(name).height}x{preset(name).width}"
    try:
        seconds = time_generator(name, where)
    except torch.cuda.OutOfMemoryError:
        advice = "End other processes on the GPU, or take a smaller preset."
        return Finding("Speed", WARNING, f"{name} preset, {size}: not enough GPU memory", advice)
    found = f"{name} preset, {size}: {seconds:.3g} s per image, forward and backward ({where})"
    if seconds > 2:
        return Finding("Speed", WARNING, found, "Training with this preset would take days: choose a smaller one.")
    return Finding("Speed", OK, found)


def time_generator(name: str, where: str) -> float:
    """Seconds that the generator of a preset needs for one image, forward and backward (the second of two passes)."""
    config = preset(name)
    generator = build(config, CITYSCAPES).generator.to(where)
    batch = stack([Streets(1, height=config.height, width=config.width)[0]])
    segmap = CITYSCAPES.encode(batch.label, batch.instance).to(where)
    for _ in range(2):
        start = time.perf_counter()
        generator(segmap).abs().mean().backward()
        if where == "cuda":
            torch.cuda.synchronize()
    return time.perf_counter() - start


def _broken(*modules: str) -> str:
    """The first of some modules that can't be imported, and why; empty if all can: a version alone proves little."""
    for name in modules:
        try:
            importlib.import_module(name)
        except Exception as error:  # noqa: BLE001
            return f"{name} can't be imported: {type(error).__name__}: {' '.join(str(error).split())}"
    return ""


def _version(name: str) -> str | None:
    try:
        return importlib.metadata.version(name)
    except importlib.metadata.PackageNotFoundError:
        return None
