"""The one kind of error that is the user's to repair."""


class UserError(ValueError):
    """A mistake in what the user gave: the message says what was expected, what came and the likeliest repair.

    On the command line it is printed as one line with exit code 2; in Python it is an ordinary ValueError.
    """
