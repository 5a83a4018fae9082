"""VGG-19, whose feature maps the perceptual loss compares (SPADE paper, appendix A; pix2pixHD)."""

import socket
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from http.client import HTTPException
from pathlib import Path
from typing import Any

import torch
from jaxtyping import Float
from torch import Tensor, nn


class VGGFeatures(nn.Module):
    """relu1_1, 2_1, 3_1, 4_1 and 5_1 of VGG-19 (n, 64 to 512, h / 1 to h / 16, ...), frozen.

    Images in [-1, 1] go in as they are, without ImageNet's mean and deviation (pix2pixHD's and SPADE's code).
    Errors: an OSError or RuntimeError where the weights can be neither found nor downloaded; a UserError where the file
    found holds anything but them (torchvision itself would run code in it).
    """

    _ends = (2, 7, 12, 21, 30)  # one past each of the five ReLUs in torchvision's list of layers

    def __init__(self, weights: str | None = "IMAGENET1K_V1"):
        super().__init__()
        from torchvision.models import VGG19_Weights, vgg19  # a second to import, so only where it is used

        from .weights import load_strictly

        network = vgg19(init_weights=weights is None)
        if weights is not None:
            load_strictly(network, _published(VGG19_Weights[weights]), "VGG-19")
        layers = network.features[: self._ends[-1]]
        starts = (0, *self._ends)
        self.slices = nn.ModuleList(layers[a:b] for a, b in zip(starts, self._ends))
        self.eval().requires_grad_(False)

    def forward(self, image: Float[Tensor, "n 3 h w"]) -> list[Float[Tensor, "n _ _ _"]]:
        """The five feature maps."""
        features = []
        for part in self.slices:
            image = part(image)
            features.append(image)
        return features


def _published(weights: Any) -> dict[str, Tensor]:
    """The state dict of torchvision's weights: from its folder of downloads, else fetched to it, its hash verified."""
    from .weights import read_state_dict

    file = Path(torch.hub.get_dir()) / "checkpoints" / Path(weights.url).name
    if file.is_file():
        return dict(read_state_dict(file))
    with _download_timeout(10):
        return weights.get_state_dict(progress=True, check_hash=True, weights_only=True)


@contextmanager
def _download_timeout(seconds: float) -> Iterator[None]:
    """Give up a connection that doesn't answer; torchvision itself would wait for minutes."""
    before = socket.getdefaulttimeout()
    socket.setdefaulttimeout(seconds)
    try:
        yield
    finally:
        socket.setdefaulttimeout(before)


def vgg_or_none(device: torch.device) -> nn.Module | None:
    """VGG-19's features, or None with one warning where its weights can be neither found nor downloaded."""
    try:
        return VGGFeatures().to(device)
    except (OSError, RuntimeError, HTTPException) as error:
        warnings.warn(
            f"Training goes on without the perceptual loss: no weights of VGG-19 ({error}). Put vgg19-dcbb9e9d.pth "
            f"(download.pytorch.org/models) into {torch.hub.get_dir()}/checkpoints, or set lambda_vgg=0.",
            stacklevel=3,
        )
        return None
