"""Stopping a training between two steps: Ctrl-C, a notebook's stop button, or a word from the system (SIGTERM)."""

import signal
import sys
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from types import FrameType

GRACE = 10  # seconds for the training to finish its step


class Stop:
    """Takes the first signal as a wish that is granted after the step; the second one leaves at once."""

    def __init__(self) -> None:
        self.asked = False

    def __call__(self, _number: int, _frame: FrameType | None) -> None:
        """Handle a signal. Errors: a KeyboardInterrupt for the second."""
        if self.asked:
            raise KeyboardInterrupt
        self.asked = True
        with suppress(RuntimeError):  # the signal came while something was being printed
            print("\nStopping after this step. Once more leaves at once, without saving.", file=sys.stderr)


@contextmanager
def stop_asked() -> Iterator[Stop]:
    """Watch for SIGINT and SIGTERM; outside the main thread, where Python allows no handlers, nothing is watched."""
    stop, before = Stop(), {}
    try:
        for number in (signal.SIGINT, signal.SIGTERM):
            if signal.getsignal(number) is not signal.SIG_IGN:  # as under nohup
                with suppress(ValueError):
                    before[number] = signal.signal(number, stop)
        yield stop
    finally:
        for number, handler in before.items():
            signal.signal(number, handler or signal.SIG_DFL)


def finish_first(_worker: int) -> None:
    """Let a process that reads data live through Ctrl-C, and for GRACE through SIGTERM: its data is still needed."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    if hasattr(signal, "alarm"):  # a batch system sends SIGTERM to all processes; an alarm ends this one later
        signal.signal(signal.SIGTERM, lambda *_: signal.alarm(GRACE))
