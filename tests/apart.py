"""Work in a process of its own, forked from one that has imported torch and started no thread.

A fork of the tests' process itself hangs where one of its threads held a lock.
"""

import multiprocessing
import os
from collections.abc import Callable

import pytest

NEEDS_FORK = pytest.mark.skipif(not hasattr(os, "fork"), reason="needs fork")
SECONDS = 240


def apart(work: Callable, *arguments, **options) -> int:
    """The exit code of work(...), a function that its module names; minus the number of a signal that ended it."""
    context = multiprocessing.get_context("forkserver")
    context.set_forkserver_preload(["torch", "spade_edu.runs.run", "spade_edu.cli"])
    process = context.Process(target=work, args=arguments, kwargs=options)
    process.start()
    process.join(SECONDS)
    if process.exitcode is None:
        process.kill()
        raise AssertionError(f"{work.__name__}{arguments} had not ended after {SECONDS} s")
    return process.exitcode
