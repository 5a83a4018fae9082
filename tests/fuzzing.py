"""What the tests with random inputs share: how many cases, what may come back, how bytes are broken.

The cases are drawn from a fixed seed. SPADE_EDU_FUZZ multiplies their number for a longer search.
"""

import os
from pathlib import Path

import jaxtyping
import pytest
from hypothesis import HealthCheck, Phase, settings
from hypothesis import strategies as st

from spade_edu.errors import UserError

TIMES = int(os.environ.get("SPADE_EDU_FUZZ", "1"))


def search(examples: int):
    """Settings of a test: so many cases, the same in every run."""
    return settings(
        max_examples=examples * TIMES,
        derandomize=True,
        database=None,
        deadline=None,
        phases=[Phase.explicit, Phase.generate],
        suppress_health_check=list(HealthCheck),
    )


@pytest.fixture(autouse=True)
def as_installed():
    """Without the shape checks of the tests, which would stop a wrong type before the package's own code sees it."""
    jaxtyping.config.update("jaxtyping_disable", True)
    yield
    jaxtyping.config.update("jaxtyping_disable", False)


def assert_one_line(error: Exception) -> None:
    """What may be said about a mistake."""
    assert isinstance(error, UserError) and len(str(error).splitlines()) == 1, error


def flipped(draw, content: bytes) -> bytes:
    """Some bytes replaced."""
    damaged = bytearray(content or b"x")
    for _ in range(draw(st.integers(1, 4))):
        damaged[draw(st.integers(0, len(damaged) - 1))] = draw(st.integers(0, 255))
    return bytes(damaged)


def snapshot(root: Path) -> dict[Path, bytes | None]:
    """Every file and folder with its contents."""
    return {p: p.read_bytes() if p.is_file() else None for p in root.rglob("*")}
