"""The features that FID and KID are computed from: the published Inception-v3 of 2015-12-05, 2048 numbers an image.

The layers are torch-fidelity's port (with the pooling of the TensorFlow network, where torchvision's differs); the
way in is pytorch-fid's, for SPADE's published numbers come from there: images in [0, 1] are resized to 299x299 by
PyTorch's bilinear interpolation (half-pixel centres, no antialiasing, whatever the aspect) and mapped to 2x - 1.
torch-fidelity's own way in takes bytes, resizes with TensorFlow 1's interpolation (no half-pixel centres) and divides
by 128, clean-fid shrinks with an antialiased bicubic filter: both give other numbers for the same images.
"""

from collections import OrderedDict

from jaxtyping import Float
from torch import Tensor, nn
from torch.nn import functional as F

from ..pretrained.weights import CATALOGUE, Source, load_strictly, read_state_dict

FEATURES = "Inception-v3 of the published FID network"


class Inception(nn.Module):
    """Images in [0, 1] to 2048 features, frozen and in eval mode."""

    def __init__(self) -> None:
        super().__init__()
        self.layers = _layers()
        self.eval().requires_grad_(False)

    def forward(self, images: Float[Tensor, "n 3 h w"]) -> Float[Tensor, "n 2048"]:
        """Resize to 299x299, scale to [-1, 1], pool the last feature map over its positions."""
        x = F.interpolate(images, size=(299, 299), mode="bilinear", align_corners=False)
        return self.layers(2 * x - 1).flatten(1)


def inception(source: Source | None = None) -> Inception:
    """Build the network and load its weights.

    source: the path or the state dict of `pt_inception-2015-12-05-6726825d.pth` or of torch-fidelity's own
    `weights-inception-2015-12-05-6726825d.pth` (the same numbers under the same names); None looks in the weights
    folder. The classifier, `fc`, is not used and left out.
    Errors: a UserError where the weights are missing (with where to get them) or do not fit.
    """
    state = read_state_dict(CATALOGUE["inception"].find() if source is None else source)
    network = Inception()
    used = {name: value for name, value in state.items() if name not in ("fc.weight", "fc.bias")}
    load_strictly(network.layers, used, "the FID Inception network")
    return network


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
