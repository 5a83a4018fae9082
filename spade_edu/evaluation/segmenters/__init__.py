"""The three published segmenters that SPADE's Table 1 is scored with, one file each, behind one interface.

ADE20K's exists twice: "upernet101-baseline" is the one that SPADE's issue 39 names, "upernet101" its successor of July
2019, which takes another input.
"""

from typing import Any

import torch
from jaxtyping import Float
from torch import Tensor, nn

from ...errors import UserError
from ...pretrained.weights import CATALOGUE, Source, StateDict, load_strictly, read_state_dict

NAMES = ("drn_d_105", "upernet101", "upernet101-baseline", "deeplabv2_resnet101")


class Segmenter(nn.Module):
    """A published network behind one interface, frozen and in eval mode.

    network: takes its own normalised input and gives its raw output; its `full_size` gives logits of the input's size,
    UPerNet's also of another.
    """

    mean: Tensor
    std: Tensor

    def __init__(self, network: Any):
        super().__init__()
        self.network = network
        self.register_buffer("mean", torch.tensor(network.mean).view(3, 1, 1), persistent=False)
        self.register_buffer("std", torch.tensor(network.std).view(3, 1, 1), persistent=False)
        self.eval().requires_grad_(False)

    def forward(self, image: Float[Tensor, "n 3 h w"], size: tuple[int, int] | None = None) -> Float[Tensor, "n c y x"]:
        """Class logits at the image's size, of RGB images in [-1, 1]; UPerNet's at any `size`."""
        if size is None:
            return self.network.full_size(self.normalise(image))
        return self.network.full_size(self.normalise(image), size)

    def normalise(self, image: Float[Tensor, "n 3 h w"]) -> Float[Tensor, "n 3 h w"]:
        """The network's own input: its range, its order of channels, less its mean, divided by its deviation."""
        image = (image + 1) / 2 * self.network.scale
        if self.network.bgr:
            image = image.flip(1)
        return (image - self.mean) / self.std


def load_segmenter(name: str, source: Source | tuple[Source, Source] | list[Source] | None = None) -> Segmenter:
    """Build a published segmenter and load its weights, every name and shape as published.

    name: "drn_d_105" (Cityscapes, 19 classes), "upernet101" or "upernet101-baseline" (ADE20K, 150),
        "deeplabv2_resnet101" (COCO-Stuff, 182).
    source: a path or a state dict, a pair of them for UPerNet (encoder, decoder); None looks in the weights folder.
    Errors: a UserError where weights are missing (with where to get them) or do not fit.
    """
    if name not in NAMES:
        raise UserError(f"there is no segmenter {name!r}: expected one of {', '.join(NAMES)}.")
    if name.startswith("upernet101"):
        return Segmenter(_upernet(name, source))
    if isinstance(source, (tuple, list)):
        raise UserError(f"{name} has one file of weights, got {len(source)}.")
    from .deeplab import DeepLab
    from .drn import DRN

    network = DRN() if name == "drn_d_105" else DeepLab()
    load_strictly(network, read_state_dict(source or CATALOGUE[name].find()), name)
    return Segmenter(network)


def _upernet(name: str, source: tuple[Source, Source] | list[Source] | Source | None) -> nn.Module:
    from .upernet import BaselineUPerNet, UPerNet

    pair = source or [CATALOGUE[f"{name}_{part}"].find() for part in ("encoder", "decoder")]
    if not isinstance(pair, (tuple, list)) or len(pair) != 2:
        raise UserError(f"{name} has two files of weights: give a pair (encoder, decoder).")
    network = UPerNet() if name == "upernet101" else BaselineUPerNet()
    for weights, part in zip(pair, ("encoder", "decoder")):
        load_strictly(getattr(network, part), _without_scratch(read_state_dict(weights)), f"{name}'s {part}")
    return network


def _without_scratch(state: StateDict) -> dict[str, Tensor]:
    """Leave out three buffers of each batch norm that its authors' synchronised version used while training."""
    scratch = ("_tmp_running_mean", "_tmp_running_var", "_running_iter")
    return {name: value for name, value in state.items() if not name.endswith(scratch)}
