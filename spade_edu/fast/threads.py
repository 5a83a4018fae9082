"""How long torch's threads wait in a loop for each other. Set when spade_edu is imported: once torch is loaded, its
threads don't look any more.

A thread that is done with its share of a layer first looks for more in a loop, then sleeps: 300,000 looks by libgomp's
documentation (torch on Linux), 200 ms by libomp's (torch on macOS and Windows). Beside another program that loop holds
the core that the other thread of the same layer waits for. What shorter loops cost and save: docs/performance.md. The
value for libomp is the one nearest to libgomp's, it was not measured.
"""

import os
import sys

SHORT = {"GOMP_SPINCOUNT": "10000", "KMP_BLOCKTIME": "1"}  # looks (libgomp), milliseconds (libomp)
CHOICES = (*SHORT, "OMP_WAIT_POLICY")  # who has set one of these has chosen


def in_force() -> str:
    """What is set, as NAME=value; "as torch comes" where nothing is."""
    return ", ".join(f"{name}={os.environ[name]}" for name in CHOICES if name in os.environ) or "as torch comes"


def advice() -> str:
    """What to do where nothing is set, for torch was loaded first; empty where something is."""
    if any(name in os.environ for name in CHOICES):
        return ""
    name, value = next(iter(SHORT.items()))
    return (
        "Beside other programs torch is several times slower than need be: import spade_edu before torch, or set "
        f"{name}={value} before Python starts."
    )


if "torch" not in sys.modules and not any(name in os.environ for name in CHOICES):
    os.environ |= SHORT
