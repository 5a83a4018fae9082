"""The features that FID and KID are computed from: 2048 numbers an image of an Inception-v3. Which one, has changed.

"pytorch-fid", the one that the name FID means: TensorFlow's network of 2015-12-05. The layers are torch-fidelity's port
(with the pooling of the TensorFlow network, where torchvision's differs); the way in is pytorch-fid's: images in [0, 1]
are resized to 299x299 by PyTorch's bilinear interpolation (half-pixel centres, no antialiasing, whatever the aspect)
and mapped to 2x - 1. torch-fidelity's own way in takes bytes, resizes with TensorFlow 1's interpolation (no half-pixel
centres) and divides by 128, clean-fid shrinks with an antialiased bicubic filter: both give other numbers for the same
images.

pytorch-fid has this network since 27 May 2019 (its commit f64228c). SPADE's paper is of March 2019, and its authors
used pytorch-fid "pretty much out of the box" (official repository, issue 14), so its FIDs can only come from what was
there before, torchvision's own Inception-v3 with torchvision's weights and pooling:

"torchvision-2019", from 16 February 2019 (4e366b2): the same way in.
"torchvision-2018", before: x becomes x std / 0.5 + (mean - 0.5) / 0.5 with ImageNet's mean and std, which is meant for
images that were normalised by them; the images weren't. Which of the two the paper's figures have, nobody has said.
"""

from collections import OrderedDict
from typing import NamedTuple

import torch
from jaxtyping import Float
from torch import Tensor, nn
from torch.nn import functional as F

from ..errors import UserError
from ..pretrained.weights import CATALOGUE, Source, load_strictly, read_state_dict

FEATURES = "Inception-v3 of the published FID network"


class FIDNetwork(NamedTuple):
    """One network behind the name FID: its weights in the catalogue, and what features and distances are called."""

    weights: str
    features: str
    distance: str
    kernel: str


FID_NETWORKS = {
    "pytorch-fid": FIDNetwork("inception", FEATURES, "FID", "KID"),
    **{
        f"torchvision-{year}": FIDNetwork(
            "inception_torchvision",
            f"Inception-v3 of torchvision, as pytorch-fid of early {year}",
            f"FID (torchvision {year})",
            f"KID (torchvision {year})",
        )
        for year in (2018, 2019)
    },
}


class Inception(nn.Module):
    """Images in [0, 1] to 2048 features, frozen and in eval mode. network: a name of FID_NETWORKS."""

    def __init__(self, network: str = "pytorch-fid") -> None:
        super().__init__()
        self.layers = _layers() if network == "pytorch-fid" else _torchvision_layers()
        scale, shift = _misplaced() if network == "torchvision-2018" else (torch.tensor(2.0), torch.tensor(-1.0))
        self.register_buffer("scale", scale, persistent=False)
        self.register_buffer("shift", shift, persistent=False)
        self.eval().requires_grad_(False)

    scale: Tensor
    shift: Tensor

    def forward(self, images: Float[Tensor, "n 3 h w"]) -> Float[Tensor, "n 2048"]:
        """Resize to 299x299, scale (to [-1, 1], but for torchvision-2018), pool the last map over its positions."""
        x = F.interpolate(images, size=(299, 299), mode="bilinear", align_corners=False)
        return self.layers(self.scale * x + self.shift).flatten(1)


def inception(source: Source | None = None, network: str = "pytorch-fid") -> Inception:
    """Build a network of FID_NETWORKS and load its weights.

    source: the path or the state dict of `pt_inception-2015-12-05-6726825d.pth`, of torch-fidelity's own
    `weights-inception-2015-12-05-6726825d.pth` (the same numbers under the same names), or of torchvision's
    `inception_v3_google-0cc3c7bd.pth`; None looks in the weights folder. The classifiers are not used and left out.
    Errors: a UserError where the network is unknown, or the weights are missing (with where to get them) or don't fit.
    """
    if network not in FID_NETWORKS:
        raise UserError(f"--fid-network is one of {', '.join(FID_NETWORKS)}, not {network!r}.")
    state = read_state_dict(CATALOGUE[FID_NETWORKS[network].weights].find() if source is None else source)
    built = Inception(network)
    used = {name: value for name, value in state.items() if not name.startswith(("fc.", "AuxLogits."))}
    load_strictly(built.layers, used, "the FID Inception network")
    return built


def _misplaced() -> tuple[Tensor, Tensor]:
    """Scale and shift of torchvision-2018, each (3, 1, 1)."""
    mean, std = torch.tensor([0.485, 0.456, 0.406]), torch.tensor([0.229, 0.224, 0.225])
    return (std / 0.5)[:, None, None], ((mean - 0.5) / 0.5)[:, None, None]


def _torchvision_layers() -> nn.Sequential:
    from torchvision.models import inception_v3

    network = inception_v3(weights=None, aux_logits=False, init_weights=False)
    return nn.Sequential(OrderedDict((n, m) for n, m in network.named_children() if n not in ("dropout", "fc")))


def _layers() -> nn.Sequential:
    from torch_fidelity import feature_extractor_inceptionv3 as port

    conv = port.BasicConv2d
    return nn.Sequential(
        OrderedDict(
            Conv2d_1a_3x3=conv(3, 32, kernel_size=3, stride=2),
            Conv2d_2a_3x3=conv(32, 32, kernel_size=3),
            Conv2d_2b_3x3=conv(32, 64, kernel_size=3, padding=1),
            pool1=nn.MaxPool2d(3, stride=2),
            Conv2d_3b_1x1=conv(64, 80, kernel_size=1),
            Conv2d_4a_3x3=conv(80, 192, kernel_size=3),
            pool2=nn.MaxPool2d(3, stride=2),
            Mixed_5b=port.InceptionA(192, pool_features=32),
            Mixed_5c=port.InceptionA(256, pool_features=64),
            Mixed_5d=port.InceptionA(288, pool_features=64),
            Mixed_6a=port.InceptionB(288),
            Mixed_6b=port.InceptionC(768, channels_7x7=128),
            Mixed_6c=port.InceptionC(768, channels_7x7=160),
            Mixed_6d=port.InceptionC(768, channels_7x7=160),
            Mixed_6e=port.InceptionC(768, channels_7x7=192),
            Mixed_7a=port.InceptionD(768),
            Mixed_7b=port.InceptionE_1(1280),
            Mixed_7c=port.InceptionE_2(2048),
            pool3=nn.AdaptiveAvgPool2d(1),
        )
    )
