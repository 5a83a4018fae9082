"""The command line: `spade-edu ...` or `python -m spade_edu ...`.

Each command lives in a file of its own beside this one and is registered here; imports that cost time stay inside
the commands, so that `spade-edu --help` answers at once.
"""

import sys
from importlib.metadata import version
from io import TextIOWrapper
from typing import Annotated, Any

import typer

from ..errors import UserError
from ..files import meant
from . import (
    data,
    demo,
    doctor,
    evaluate,
    grade,
    page,
    paint,
    paper,
    plan,
    reproduce,
    sample,
    start,
    test,
    train,
    weights,
)

# click's, which newer versions of typer bring along themselves
UsageError: Any = typer.BadParameter.__base__
REPAIRS = {
    FileExistsError: "A file stands where a folder is needed: choose another name, or move it.",
    NotADirectoryError: "A file stands where a folder is needed: choose another name, or move it.",
    IsADirectoryError: "A folder stands where a file is needed: choose another name.",
}
app = typer.Typer(
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
)
for command in (
    start, demo, train, sample, test, evaluate, data, doctor, grade, page, paint, paper, plan, reproduce, weights,
):  # fmt: skip
    command.register(app)


def _version(asked: bool) -> None:
    if asked:
        print(version("spade-edu"))
        raise typer.Exit


@app.callback()
def options(
    version: Annotated[
        bool, typer.Option("--version", help="Print the version of spade_edu.", callback=_version, is_eager=True)
    ] = False,
) -> None:
    """Learn SPADE by building it: train, sample, evaluate, look at data."""


def main(arguments: list[str] | None = None) -> None:
    """Run the command line; a mistake of the user's gives one line and exit code 2, never a traceback."""
    words = [_meant(word) for word in (sys.argv[1:] if arguments is None else arguments)]
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, TextIOWrapper):
            stream.reconfigure(errors="replace")  # Windows' code page, to which a pipe writes, lacks some signs
    try:
        code = app(args=words, prog_name="spade-edu", standalone_mode=False)  # else typer ends it by itself
    except UsageError as error:
        code = _misused(error)
    except UserError as error:
        code = _fail(str(error))
    except OSError as error:  # a full disk, a folder that can't be written, a path that doesn't exist
        repair = REPAIRS.get(type(error), "Is there room, and may it be written?")
        code = _fail(f"{error.filename or 'a file'}: {error.strerror or error}. {repair}")
    except MemoryError:
        code = _fail("there is not enough memory for pictures of this size, or for so many: choose less.")
    except (KeyboardInterrupt, typer.Abort):
        code = 130
    if code == 130:
        print("\nStopped.", file=sys.stderr)
    if code:
        sys.exit(code)


def _meant(word: str) -> str:
    """A word with ~ and quotes in its path as they were meant: the shell leaves them in --root=~/x and in '~/x'."""
    option, equals, value = word.partition("=") if word.startswith("--") else ("", "", word)
    return option + equals + str(meant(value)) if value[:1] in ("~", '"', "'") else word


def _misused(error: Any) -> int:
    """A command or option that doesn't exist, or a value that it doesn't take; no command at all shows the help."""
    if type(error).__name__ == "NoArgsIsHelpError":
        print(error.format_message())
        return 2
    command = error.ctx.command_path if error.ctx else "spade-edu"
    message = error.format_message()
    return _fail(f"{message}{'' if message.endswith(('.', '?')) else '.'} See `{command} --help`.")


def _fail(message: str) -> int:
    print("spade-edu:", *message.splitlines(), file=sys.stderr)
    return 2
