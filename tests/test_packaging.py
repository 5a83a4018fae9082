"""The project's own files agree with each other, and importing it stays light."""

import os
import re
import shutil
import subprocess
import sys
import sysconfig
import tarfile
import tomllib
import venv
import warnings
import zipfile
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
MEGABYTES = 35  # of the wheel: the stored weights are 30 of them


def tracked(*folders):
    """The project's files, by git's list, as paths relative to its root."""
    listed = subprocess.run(["git", "ls-files", "-z", *folders], cwd=ROOT, capture_output=True, text=True, check=True)
    return [name for name in listed.stdout.split("\0") if name and (ROOT / name).is_file()]


def run(*command, cwd):
    others = {name: value for name, value in os.environ.items() if name != "PYTHONPATH"}
    done = subprocess.run([str(word) for word in command], cwd=cwd, env=others, capture_output=True, text=True)
    assert done.returncode == 0, f"{command}:\n{done.stdout}\n{done.stderr}"
    return done.stdout


def test_environment_yml_lists_the_same_packages_as_pyproject():
    listed = re.findall(r"^ {6}- (\S+)$", (ROOT / "environment.yml").read_text(encoding="utf-8"), flags=re.MULTILINE)
    groups = PROJECT["optional-dependencies"]
    extras = [name for group in groups if group != "site" for name in groups[group]]  # of the site by `make site` alone
    assert sorted(listed) == sorted(PROJECT["dependencies"] + extras)


def test_the_version_is_the_same_everywhere():
    cited = re.findall(r"^version: (\S+)$", (ROOT / "CITATION.cff").read_text(encoding="utf-8"), flags=re.MULTILINE)
    shown = run(sys.executable, "-m", "spade_edu", "--version", cwd=ROOT)
    assert [PROJECT["version"]] == cited == shown.split()


@pytest.mark.skipif(shutil.which("make") is None, reason="needs make")
def test_the_demo_installs_what_it_runs_and_the_tests_what_they_need(tmp_path):
    def installed(target):
        shown = run("make", "-n", target, f"VENV={tmp_path / 'new'}", cwd=ROOT)
        return re.findall(r"pip install --quiet -e (\S+)$", shown, re.MULTILINE)

    assert installed("demo") == ["."]
    assert installed("test") == [".", '".[notebooks,test]"']


def test_import_brings_little_beyond_torch():
    light = {"spade_edu", "torch", "numpy", "jaxtyping", "wadler_lindig", "typing_extensions", "safetensors"}
    code = "import sys, torch; before = set(sys.modules); import spade_edu; print(*set(sys.modules) - before)"
    shown = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout
    assert {name.split(".")[0] for name in shown.split()} - sys.stdlib_module_names <= light
    slow = ("torch._dynamo", "torch._inductor", "torch.onnx", "torch.distributed.fsdp")  # a second or more each
    assert not [name for name in shown.split() if name.startswith(slow)]


def test_no_file_of_the_project_names_a_path_of_somebodys_machine():
    files = tracked()
    # Written in two halves, or this file would find itself.
    pattern = re.compile("(?<![A-Za-z0-9_.])/(ro" + "ot|wo" + "rk|ho" + "me)/")
    texts = [f for f in files if f.endswith((".py", ".md", ".toml", ".yml", ".ipynb", ".json", ".js", "Makefile"))]
    assert texts
    found = [f for f in texts if pattern.search((ROOT / f).read_text(encoding="utf-8", errors="replace"))]
    assert found == []


def test_a_warning_that_comes_from_the_package_is_an_error():
    with pytest.raises(UserWarning):
        warnings.warn_explicit("x", UserWarning, "losses.py", 1, module="spade_edu.losses")


@pytest.fixture(scope="module")
def built(tmp_path_factory):
    """The folder with sdist and wheel, made from a copy of the project's files; the wheel is made from the sdist."""
    tree = tmp_path_factory.mktemp("tree")
    for name in tracked("spade_edu", "tests", "pyproject.toml", "README.md", "LICENSE", "MANIFEST.in"):
        (tree / name).parent.mkdir(parents=True, exist_ok=True)
        shutil.copyfile(ROOT / name, tree / name)
    run(sys.executable, "-m", "build", "--no-isolation", "--outdir", tree / "dist", tree, cwd=tree)
    return tree / "dist"


def test_the_wheel_holds_the_package_and_its_data_and_nothing_else(built):
    (wheel,) = built.glob("*.whl")
    names = [name for name in zipfile.ZipFile(wheel).namelist() if ".dist-info/" not in name]
    assert sorted(names) == sorted(tracked("spade_edu"))
    assert {"spade_edu/py.typed", "spade_edu/assets/spade.safetensors", "spade_edu/widgets/painter.js"} <= set(names)
    assert "spade_edu/assets/course/00_data.ipynb" in names
    assert wheel.stat().st_size < MEGABYTES * 2**20


def test_the_sdist_holds_what_the_build_needs_and_nothing_else(built):
    (sdist,) = built.glob("*.tar.gz")
    with tarfile.open(sdist) as archive:
        names = [member.name.partition("/")[2] for member in archive.getmembers() if member.isfile()]
    made = {"PKG-INFO", "setup.cfg"}  # by setuptools
    kept = {name for name in names if name not in made and ".egg-info/" not in name}
    assert kept == {*tracked("spade_edu"), "pyproject.toml", "README.md", "LICENSE", "MANIFEST.in"}


@pytest.fixture(scope="module")
def installed(built, tmp_path_factory):
    """Python of an empty environment with the wheel in it; the other packages are those of this environment."""
    folder = tmp_path_factory.mktemp("empty")
    venv.create(folder, with_pip=False, symlinks=True)
    python = folder / "bin" / "python"
    pip = [sys.executable, "-m", "pip", "--python", python, "--disable-pip-version-check"]
    run(*pip, "install", "--quiet", "--no-deps", "--no-index", *built.glob("*.whl"), cwd=folder)
    (site,) = folder.glob("lib/python*/site-packages")
    (site / "others.pth").write_text(sysconfig.get_path("purelib") + "\n")
    return python


def test_the_installed_package_runs_from_an_empty_folder(installed, tmp_path):
    code = """import spade_edu, spade_edu.runs.loading
print(spade_edu.__file__, spade_edu.runs.loading.load_stored("spade").generator.z_dim)"""
    file, z_dim = run(installed, "-c", code, cwd=tmp_path).split()
    assert Path(file).is_relative_to(installed.parents[1]) and int(z_dim) > 0
    program = installed.with_name("spade-edu")
    assert "Learn SPADE by building it" in run(program, "--help", cwd=tmp_path)
    assert "0 failure(s)" in run(program, "doctor", cwd=tmp_path)


def test_the_installed_packages_agree_with_each_other(installed, tmp_path):
    pip = [sys.executable, "-m", "pip", "--python", installed, "--disable-pip-version-check"]
    assert "No broken requirements found." in run(*pip, "check", cwd=tmp_path)


@pytest.mark.slow
def test_a_student_starts_borrows_and_runs_notebook_11_from_the_wheel(installed, tmp_path, monkeypatch):
    for name, value in {"PROFILE": "test", "MINUTES": "0.05", "FOLDER": ""}.items():
        monkeypatch.setenv(f"SPADE_EDU_{name}", value)
    folder = tmp_path / "course"
    run(installed.with_name("spade-edu"), "start", folder, cwd=tmp_path)
    said = run(installed, "-c", "from spade_edu.course import borrow; borrow('train'); borrow('SPADE')", cwd=folder)
    assert said.count("borrowed into") == 2
    code = """import nbformat, nbclient
notebook = nbformat.read("11_your_spade.ipynb", 4)
nbclient.NotebookClient(notebook, timeout=600).execute()
print(*[o.text for cell in notebook.cells for o in cell.get("outputs", []) if o.output_type == "stream"])"""
    said = run(installed, "-c", code, cwd=folder)
    assert f"Your file: {folder / 'my_spade.py'}" in said and "each step moves its own side only" in said
    assert {path.stem for path in (folder / "my_runs").iterdir()} == {"spade", "pix2pixhd"}
    assert "# borrowed" in (folder / "my_spade.py").read_text()
