"""Settings for all tests: shape types are checked at run time, threads are few, seeds are fixed."""

import os

from jaxtyping import install_import_hook

# Every annotated function of the package checks its shapes while tests run; outside tests this costs nothing.
install_import_hook("spade_edu", "typechecker.check")

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
