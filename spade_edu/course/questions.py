"""The predictions that the notebooks ask for, at most five each, and what kind of answer each takes.

float: a number. A tuple: one of these. str: a few words.
"""

PREDICTIONS: dict[str, type | tuple[str, ...]] = {
    "00-halfway": str,
    "00-invented": float,
    "00-edges": float,
    "00-trainids": str,
    "01-depth": ("grows", "stays", "fades"),
    "01-company": ("with the dark ones", "with the bright ones", "the same in both"),
    "01-running": float,
    "01-uniform": str,
    "01-class": ("after the convolution", "after instance norm", "after both", "after neither"),
    "02-rows": float,
    "02-stamps": ("even", "uneven"),
    "02-parts": ("down", "blocks", "up"),
    "02-field": float,
    "02-mildest": ("shifted", "blurred", "darker", "noisy"),
    "03-road": str,
    "03-corner": float,
    "03-start": str,
    "03-one-layer": ("SPADE", "concatenation", "equal"),
    "03-depth": ("all", "all but the one with the mask at the bottom and norms", "only SPADE"),
    "04-constant": float,
    "04-factor": float,
    "04-survives": ("the class", "the noise", "both", "neither"),
    "04-plus": ("yes", "no"),
    "09-noise": ("all five moods", "their average", "any grey"),
    "09-batch": float,
    "09-draws": ("draws from N(0, 1)", "codes of pictures", "both alike"),
    "09-halfway": ("yes", "no"),
    "09-edit": ("yes", "no"),
}
