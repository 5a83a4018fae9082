"""pix2pixHD's instance features: a colour-like code for every object, found by an encoder, drawn from clusters.

In training the code of each object comes from the real image: E(image, instance) is concatenated to the label map that
the generator sees (3 more channels; the discriminator doesn't see them). Afterwards all training objects' codes are
clustered class by class, and a new image draws one cluster centre for each of its objects (Wang et al. 2018,
section 3.4).
"""

from collections import defaultdict
from collections.abc import Iterable

import torch
from jaxtyping import Float, Integer
from torch import Tensor, nn

from .pix2pixhd import Pix2PixHDGenerator


class InstanceFeatureEncoder(nn.Module):
    """E(image, instance) -> a feature map that is constant on every instance.

    image: (n, 3, h, w) in [-1, 1]; instance: ids, (n, h, w) or (n, 1, h, w); result: (n, 3, h, w) in [-1, 1], every
    channel replaced by its mean over the instance. The network is pix2pixHD's generator without residual blocks. To
    pool over classes instead of objects (the published option label_feat), pass the label map as `instance`.

    in_channels: of the image.
    nef: channels of the first feature map; they double with each halving of the size.
    num_downsampling: how often the size is halved, and doubled again.
    """

    def __init__(self, in_channels: int = 3, *, nef: int = 16, num_downsampling: int = 4):
        super().__init__()
        self.model = Pix2PixHDGenerator(in_channels, ngf=nef, num_downsampling=num_downsampling, num_blocks=0).model

    def forward(self, image: Float[Tensor, "n 3 h w"], instance: Tensor) -> Float[Tensor, "n 3 h w"]:
        """Encode, then average over each instance."""
        return instance_mean(self.model(image), instance.reshape(image.shape[0], *image.shape[-2:]))


def instance_mean(x: Float[Tensor, "n c h w"], instance: Tensor) -> Float[Tensor, "n c h w"]:
    """Replace each channel by its mean over the pixels of one instance of one image; instance: ids (n, h, w)."""
    n, c, h, w = x.shape
    picture = torch.arange(n, device=x.device)[:, None].expand(n, h * w)
    pairs = torch.stack([picture, instance.reshape(n, h * w).long()], dim=-1).reshape(-1, 2)
    _, region, sizes = torch.unique(pairs, dim=0, return_inverse=True, return_counts=True)
    pixels = x.permute(0, 2, 3, 1).reshape(-1, c)
    means = torch.zeros(len(sizes), c, device=x.device, dtype=x.dtype).index_add(0, region, pixels) / sizes[:, None]
    return means[region].reshape(n, h, w, c).permute(0, 3, 1, 2)


def class_of(instance_id: int) -> int:
    """The class of a Cityscapes instance id: class * 1000 + number for things, the class itself for stuff."""
    return instance_id if instance_id < 1000 else instance_id // 1000


@torch.no_grad()
def cluster_features(
    encoder: nn.Module,
    pictures: Iterable[tuple[Float[Tensor, "n 3 h w"], Integer[Tensor, "n h w"]]],
    *,
    k: int = 10,
    seed: int = 0,
) -> dict[int, Float[Tensor, "_ 3"]]:
    """Cluster the codes of all instances, class by class: class id -> up to k centres (k-means).

    Instances that cover no more than half of a 32nd of the image are left out, as published.
    """
    codes = defaultdict(list)
    for image, instance in pictures:
        features = encoder(image, instance)
        enough = instance[0].numel() // 32 / 2
        for feature, ids in zip(features, instance):
            for number in ids.unique().tolist():
                mask = ids == number
                if mask.sum() > enough:
                    codes[class_of(number)].append(feature[:, mask][:, 0])
    return {label: k_means(torch.stack(found), k, seed) for label, found in sorted(codes.items())}


def k_means(points: Float[Tensor, "p d"], k: int, seed: int = 0, steps: int = 100) -> Float[Tensor, "_ d"]:
    """Up to k centres by Lloyd's algorithm: each point to its nearest centre, each centre to its points' mean.

    Every start but the first is drawn with probability proportional to the squared distance from the nearest one
    before (k-means++); fewer distinct points than k give as many centres.
    """
    generator = torch.Generator().manual_seed(seed)
    centres = points[torch.randint(len(points), (1,), generator=generator)]
    while len(centres) < k:
        distance = torch.cdist(points, centres).min(dim=1).values.square()
        if distance.max() <= 1e-12:
            break
        centres = torch.cat([centres, points[torch.multinomial(distance, 1, generator=generator)]])
    for _ in range(steps):
        nearest = torch.cdist(points, centres).argmin(dim=1)
        centres = torch.stack(
            [points[nearest == i].mean(0) if (nearest == i).any() else c for i, c in enumerate(centres)]
        )
    return centres


def sample_features(
    instance: Integer[Tensor, "n h w"], centres: dict[int, Float[Tensor, "_ 3"]], *, seed: int = 0
) -> Float[Tensor, "n 3 h w"]:
    """Draw one of its class's cluster centres for every instance; zero where a class has none."""
    generator = torch.Generator().manual_seed(seed)
    features = torch.zeros(instance.shape[0], 3, *instance.shape[1:])
    for feature, ids in zip(features, instance):
        for number in ids.unique().tolist():
            found = centres.get(class_of(number))
            if found is not None:
                choice = found[int(torch.randint(len(found), (1,), generator=generator))]
                feature[:, ids == number] = choice[:, None]
    return features
