"""Whole modules of my_spade.py: discriminators, spectral norm, the Concat variant, the style encoder."""

PARTS = ()
