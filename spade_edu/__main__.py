"""`python -m spade_edu` is the same as `spade-edu`."""

from .cli import main

main()
