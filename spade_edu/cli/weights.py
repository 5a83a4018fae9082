"""`spade-edu weights`: the published weights that scores need, and how to get them."""

from typing import Annotated, Any

import typer

from ..errors import UserError


def register(app: typer.Typer) -> None:
    """Add the command to the command line."""
    app.command()(weights)


def weights(
    names: Annotated[list[str] | None, typer.Argument(help="Which of them; default: all.")] = None,
    download: Annotated[bool, typer.Option(help="Fetch what is missing and has a stable public address.")] = False,
) -> None:
    """List the published weights that scores need, verify those that are here, and say where to get the others."""
    from ..pretrained.weights import CATALOGUE, fetch

    unknown = [name for name in names or [] if name not in CATALOGUE]
    if unknown:
        raise UserError(f"there are no weights {unknown[0]!r}: expected one of {', '.join(CATALOGUE)}.")
    bad = []
    for name in names or CATALOGUE:
        entry = CATALOGUE[name]
        if download and entry.url and not entry.path.is_file():
            fetch(entry)
        state, line = describe(entry)
        print(f"{name:28} {state:13} {entry.used_for}\n{'':28} {line}")
        if state == "wrong":
            bad.append(entry.path)
    if bad:
        raise UserError(f"{bad[0]} is not the published file (its hash differs): delete it and get it again.")


def describe(entry: Any) -> tuple[str, str]:
    """How one file stands, in a word, and what to know or do about it."""
    if not entry.path.is_file():
        how = "spade-edu weights --download, or from" if entry.url else "get it from"
        return "missing", f"{how} {entry.origin}; put it at {entry.path}"
    sound = entry.verify(entry.path)
    word = {True: "verified", False: "wrong", None: "here"}[sound]
    return word, f"{entry.path}" + ("" if sound is not None else " (no hash was published)")
