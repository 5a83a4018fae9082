"""What all generators have in common."""

from jaxtyping import Float
from torch import Tensor, nn


class Generator(nn.Module):
    """G(segmap, z=None) -> image in [-1, 1]; segmap: (n, label_channels, h, w), z: (n, z_dim), image: (n, 3, h2, w2).

    label_channels: how many channels a label map has (LabelSpace.num_channels).
    z_dim: how many numbers a style code has. None: the network is deterministic; z is accepted and ignored, so that
        every generator is called the same way.
    """

    label_channels: int
    z_dim: int | None

    def __init__(self, label_channels: int, z_dim: int | None = None):
        super().__init__()
        self.label_channels, self.z_dim = label_channels, z_dim

    def forward(
        self, segmap: Float[Tensor, "n l h w"], z: Float[Tensor, "n z_dim"] | None = None
    ) -> Float[Tensor, "n 3 h2 w2"]:
        """Paint label maps."""
        raise NotImplementedError
