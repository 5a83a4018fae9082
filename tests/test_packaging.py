"""The project's own files agree with each other, and importing it stays light."""

import re
import subprocess
import sys
import tomllib
from pathlib import Path

ROOT = Path(__file__).parents[1]
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]


def test_environment_yml_lists_the_same_packages_as_pyproject():
    listed = re.findall(r"^ {6}- (\S+)$", (ROOT / "environment.yml").read_text(), flags=re.MULTILINE)
    extras = [name for group in PROJECT["optional-dependencies"].values() for name in group]
    assert sorted(listed) == sorted(PROJECT["dependencies"] + extras)


def test_import_stays_light():
    heavy = ("torchvision", "matplotlib", "IPython", "ipywidgets", "torch_fidelity", "typer", "scipy")
    code = f"import sys, spade_edu; print([m for m in {heavy!r} if m in sys.modules])"
    shown = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout
    assert shown.strip() == "[]"


def test_no_file_of_the_project_names_a_path_of_somebodys_machine():
    files = subprocess.run(["git", "ls-files"], cwd=ROOT, capture_output=True, text=True, check=True).stdout.split("\n")
    # Written in two halves, or this file would find itself.
    pattern = re.compile("(?<![A-Za-z0-9_.])/(ro" + "ot|wo" + "rk|ho" + "me)/")
    texts = [f for f in files if f.endswith((".py", ".md", ".toml", ".yml", ".ipynb", ".json", ".js", "Makefile"))]
    assert texts
    found = [f for f in texts if pattern.search((ROOT / f).read_text(errors="replace"))]
    assert found == []
