"""Streets: procedural street scenes in Cityscapes' label space and folder layout; numpy and Pillow only."""

from .dataset import STYLES, Scene, Streets, render, write

__all__ = ["STYLES", "Scene", "Streets", "render", "write"]
