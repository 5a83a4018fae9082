"""Weights that somebody trained: VGG-19, the judges of Streets, the authors' checkpoints; one safe reader for all."""
