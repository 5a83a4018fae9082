"""The command line: `spade-edu ...` or `python -m spade_edu ...`.

Each command lives in a file of its own beside this one and is registered here; imports that cost time stay inside
the commands, so that `spade-edu --help` answers at once.
"""

import sys

import typer

from ..errors import UserError
from . import data, demo, doctor, evaluate, grade, paint, paper, plan, reproduce, train, weights

app = typer.Typer(
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
    help="Learn SPADE by building it: train, sample, evaluate, look at data.",
)
for command in (demo, train, evaluate, data, doctor, grade, paint, paper, plan, reproduce, weights):
    command.register(app)


def main(arguments: list[str] | None = None) -> None:
    """Run the command line; a mistake of the user's gives one line and exit code 2, never a traceback."""
    try:
        app(args=arguments)
    except UserError as error:
        sys.exit(_fail(str(error)))
    except OSError as error:  # a full disk, a folder that can't be written, a path that doesn't exist
        file = error.filename or "a file"
        sys.exit(_fail(f"{file}: {error.strerror or error}. Is there room, and may it be written?"))
    except MemoryError:
        sys.exit(_fail("there is not enough memory for pictures of this size, or for so many: choose less."))
    except KeyboardInterrupt:
        print("\nStopped.", file=sys.stderr)
        sys.exit(130)


def _fail(message: str) -> int:
    print(f"spade-edu: {message}", file=sys.stderr)
    return 2
