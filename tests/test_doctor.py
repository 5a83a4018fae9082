import importlib.metadata
import os
import shutil
import sys
import webbrowser
from collections import namedtuple
from pathlib import Path

import pytest
import torch
import trees
import typer
from typer.testing import CliRunner

from spade_edu.cli import doctor as command
from spade_edu.course import doctor

Usage = namedtuple("Usage", "total used free")
GPU = "Fast GPU 9000"


@pytest.fixture(autouse=True)
def in_an_empty_folder(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv("CITYSCAPES_DATASET", raising=False)


def lines(report, what):
    return [f for f in report.findings if f.what == what]


def without(monkeypatch, *missing):
    """Take packages away, as importlib sees them."""
    real = importlib.metadata.version

    def version(name):
        if name in missing:
            raise importlib.metadata.PackageNotFoundError(name)
        return real(name)

    monkeypatch.setattr(importlib.metadata, "version", version)


def with_gpu(monkeypatch, free=15e9, total=16e9, count=1):
    monkeypatch.setattr(torch.cuda, "is_available", lambda: True)
    monkeypatch.setattr(torch.cuda, "mem_get_info", lambda: (int(free), int(total)))
    monkeypatch.setattr(torch.cuda, "device_count", lambda: count)
    monkeypatch.setattr(torch.cuda, "get_device_name", lambda: GPU)


# --- the report


def test_a_sound_machine_has_no_failure_and_leaves_no_trace(tmp_path):
    report = doctor.examine("runs", timing=False)
    assert report.healthy, str(report)
    assert [f.what for f in report.findings] == [
        "Python", "Packages", "Device", "Threads", "Memory", "Disk", "Writing", "Data sets", "Widgets", "Browser",
    ]  # fmt: skip
    assert not any(tmp_path.iterdir())


def test_every_warning_and_failure_has_one_sentence_of_advice(monkeypatch):
    without(monkeypatch, "ipywidgets", "torch-fidelity")
    monkeypatch.setattr(shutil, "disk_usage", lambda _: Usage(1, 1, 10))
    for finding in doctor.examine(timing=False).findings:
        assert bool(finding.advice) == (finding.level != doctor.OK)
        assert "\n" not in finding.found + finding.advice


def test_the_printed_report_hides_the_home_folder(monkeypatch, tmp_path):
    monkeypatch.setattr(Path, "home", lambda: tmp_path)
    text = str(doctor.examine(timing=False))
    assert str(tmp_path) not in text and "~/runs" in text
    assert text.startswith("spade-edu doctor: 0 failure(s)")


def test_a_check_that_breaks_is_a_finding(monkeypatch):
    monkeypatch.setattr(doctor.platform, "machine", lambda: 1 / 0)
    report = doctor.examine(timing=False)
    assert report.findings[0].level == doctor.FAILURE and "ZeroDivisionError" in report.findings[0].found
    assert len(report.findings) > 5  # the others were still made


# --- broken environments


def test_missing_ipywidgets_is_a_warning_with_the_command(monkeypatch):
    without(monkeypatch, "ipywidgets")
    (finding,) = doctor.widgets()
    assert finding.level == doctor.WARNING and "missing: ipywidgets" in finding.found
    assert "pip install" in finding.advice and "ipywidgets" in finding.advice


def test_a_missing_dependency_is_a_failure(monkeypatch):
    without(monkeypatch, "torchvision")
    (finding,) = doctor.packages()
    assert finding.level == doctor.FAILURE and finding.advice.endswith("pip install torchvision")


@pytest.mark.parametrize("check, module", [("packages", "torch_fidelity"), ("widgets", "spade_edu.widgets")])
def test_what_is_installed_is_imported_too(monkeypatch, check, module):
    """A version says nothing of a file that is missing, or of a script that this system can't read."""
    monkeypatch.setitem(sys.modules, module, None)  # importing it fails
    (finding,) = getattr(doctor, check)()
    assert finding.level == doctor.FAILURE and f"{module} can't be imported" in finding.found


def test_apples_gpu_is_named_with_its_command(monkeypatch):
    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)
    monkeypatch.setattr(shutil, "which", lambda name: None)
    monkeypatch.setattr(torch.backends.mps, "is_available", lambda: True)
    (finding,) = doctor.device()
    assert finding.level == doctor.OK and "--device mps --set fast=false" in finding.found


@pytest.mark.parametrize("cuda, advice", [(None, "torch build with CUDA"), ("12.8", "Update the NVIDIA driver")])
def test_torch_that_does_not_see_the_gpu(monkeypatch, cuda, advice):
    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)
    monkeypatch.setattr(torch.version, "cuda", cuda)
    monkeypatch.setattr(shutil, "which", lambda name: f"/usr/bin/{name}" if name == "nvidia-smi" else None)
    (finding,) = doctor.device()
    assert finding.level == doctor.WARNING and "torch does not see" in finding.found and advice in finding.advice


def test_a_machine_without_gpu_is_fine(monkeypatch):
    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)
    monkeypatch.setattr(shutil, "which", lambda name: None)
    (finding,) = doctor.device()
    assert finding.level == doctor.OK and "preset that fits: cpu" in finding.found


PRESETS_OF_GPUS = [(8e9, 1, "cpu"), (16e9, 1, "colab"), (80e9, 4, "colab"), (32e9, 8, "paper")]


@pytest.mark.parametrize("total, count, fits", PRESETS_OF_GPUS)
def test_the_preset_follows_the_gpu(monkeypatch, total, count, fits):
    with_gpu(monkeypatch, free=0.9 * total, total=total, count=count)
    (finding,) = doctor.device()
    assert finding.level == doctor.OK and finding.found.endswith(f"preset: {fits}") and GPU in finding.found


def test_a_gpu_that_others_fill(monkeypatch):
    with_gpu(monkeypatch, free=1e9)
    assert doctor.device()[0].level == doctor.WARNING


@pytest.mark.parametrize("free, level", [(1e8, doctor.FAILURE), (2e9, doctor.WARNING), (2e10, doctor.OK)])
def test_disk(monkeypatch, free, level):
    monkeypatch.setattr(shutil, "disk_usage", lambda _: Usage(int(1e12), 0, int(free)))
    assert doctor.disk(Path("not/yet/there"))[0].level == level


def test_a_run_folder_that_cannot_be_one(tmp_path):
    (tmp_path / "runs").write_text("a file where the folder should be")
    (finding,) = doctor.writing(tmp_path / "runs" / "demo")
    assert finding.level == doctor.FAILURE and "another folder" in finding.advice


@pytest.mark.skipif(not hasattr(os, "geteuid") or os.geteuid() == 0, reason="the administrator may write anywhere")
def test_a_run_folder_without_write_permission(tmp_path):
    (tmp_path / "runs").mkdir(mode=0o500)
    assert doctor.writing(tmp_path / "runs")[0].level == doctor.FAILURE


@pytest.mark.skipif(sys.platform == "win32", reason="Windows has no limit of this kind")
def test_a_full_quota_is_found_by_writing(tmp_path):
    """The system itself refuses to write more than a megabyte: a quota, which free space does not show."""
    import resource

    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (10**6, hard))
    try:
        (finding,) = doctor.writing(Path("runs"))
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))
    assert finding.level == doctor.FAILURE and "quota" in finding.advice
    assert not (tmp_path / "runs").exists()


def test_little_memory(monkeypatch):
    monkeypatch.setattr(os, "sysconf", lambda name: {"SC_PAGE_SIZE": 4096, "SC_PHYS_PAGES": 500_000}[name])
    assert doctor.memory()[0].level == doctor.WARNING


def test_data_sets_that_are_found(monkeypatch, tmp_path):
    assert doctor.data_sets()[0].found == "streets (built in)"
    trees.camvid_segnet(tmp_path / "datasets/camvid")
    monkeypatch.setenv("CITYSCAPES_DATASET", str(trees.cityscapes(tmp_path / "cs")))
    (finding,) = doctor.data_sets()
    assert finding.level == doctor.OK and finding.found == "cityscapes, camvid, streets (built in)"


def test_a_variable_that_leads_nowhere(monkeypatch, tmp_path):
    monkeypatch.setenv("CITYSCAPES_DATASET", str(tmp_path))
    (finding,) = doctor.data_sets()
    assert finding.level == doctor.WARNING and "leftImg8bit" in finding.advice


def test_no_browser(monkeypatch):
    def nothing():
        raise webbrowser.Error("could not locate runnable browser")

    monkeypatch.setattr(webbrowser, "get", nothing)
    assert doctor.browser()[0].level == doctor.WARNING


# --- speed


def test_speed_is_measured_at_two_sizes(monkeypatch):
    monkeypatch.setattr(doctor, "TIMED", ("test", "test"))
    findings = doctor.speed()
    assert len(findings) == 2 and all("test preset, 32x64" in f.found and "s per image" in f.found for f in findings)
    assert [doctor.preset(name).height for name in ("cpu", "colab")] == [64, 128]


@pytest.mark.parametrize("seconds, level", [(0.01, doctor.OK), (5.0, doctor.WARNING)])
def test_slow_machines_are_told(monkeypatch, seconds, level):
    monkeypatch.setattr(doctor, "time_generator", lambda name, where: seconds)
    assert {f.level for f in doctor.speed()} == {level}


def test_a_gpu_too_small_for_a_preset(monkeypatch):
    def full(name, where):
        raise torch.cuda.OutOfMemoryError("CUDA out of memory")

    monkeypatch.setattr(doctor, "time_generator", full)
    assert {f.level for f in doctor.speed()} == {doctor.WARNING}


# --- the command


def run(*arguments):
    app = typer.Typer()
    command.register(app)
    return CliRunner().invoke(app, list(arguments))


def test_command_succeeds_on_a_sound_machine():
    result = run("--no-timing")
    assert result.exit_code == 0 and "spade-edu doctor: 0 failure(s)" in result.stdout


def test_command_fails_where_something_failed(tmp_path):
    (tmp_path / "runs").write_text("a file")
    result = run("--no-timing", "--out", "runs")
    assert result.exit_code == 1 and "failure  Writing" in result.stdout
