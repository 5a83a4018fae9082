"""Settings for all tests: shape types are checked at run time, threads are few, seeds are fixed."""

import os
from pathlib import Path

from jaxtyping import install_import_hook

# Every annotated function checks its shapes while tests run; outside tests this costs nothing. Streets and
# the exercises' checks are left out: they call small functions so often that the checks take most of the time.
PACKAGE = Path(__file__).parents[1] / "spade_edu"
UNCHECKED = {"streets", "checks"}
FILES = [p for p in PACKAGE.rglob("*.py") if p.name != "__init__.py" and not UNCHECKED & set(p.parts)]
MODULES = [".".join(("spade_edu", *p.relative_to(PACKAGE).with_suffix("").parts)) for p in FILES]
install_import_hook(MODULES, "typechecker.check")

import spade_edu  # noqa: E402, F401  # before torch: it says how torch's threads wait

# isort: split
import pytest  # noqa: E402
import torch  # noqa: E402


@pytest.fixture(autouse=True)
def _seed():
    torch.manual_seed(0)


@pytest.fixture(scope="session", autouse=True)
def _threads():
    # Two test workers on two cores: one thread each, or they slow each other down many times over.
    if os.environ.get("PYTEST_XDIST_WORKER"):
        torch.set_num_threads(1)
