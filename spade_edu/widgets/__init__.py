"""Widgets for notebooks: paint a scene, sample its looks, transfer a style, look into SPADE, ask people.

They work in JupyterLab, Colab and VS Code; where widgets can't be shown (GitHub, nbconvert) each is a still picture.
"""

from .explorer import Explorer
from .painter import Painter
from .sampler import Sampler
from .study import PicturePair, Study
from .style_board import StyleBoard

__all__ = ["Explorer", "Painter", "PicturePair", "Sampler", "Study", "StyleBoard"]
