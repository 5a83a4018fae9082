"""OASIS (Schönfeld, Sushko et al., "You Only Need Adversarial Supervision for Semantic Image Synthesis", ICLR 2021).

SPADE's discriminator is shown the label map and says "real" or "fake" of patches; what labels mean it has to find out,
and a perceptual loss helps. OASIS makes the discriminator a segmenter: for each pixel it names one of N classes, or the
class N + 1, "fake". Only the right class fools it, so it teaches what the label map asks for, and the perceptual loss,
feature matching and the style encoder go. Noise is a map beside the label map, so styles can differ by region.

The sections named are the paper's: 3.1 the SPADE baseline, 3.2 the discriminator and LabelMix, 3.3 the generator.

Departures: widths, learning rates, their fall and the average's decay are the configuration's (the paper: 64, 1e-4 for
G and 4e-4 for D throughout, 0.9999). Instance edges, where there are some, are fed to G. D halves the picture as often
as its size allows, six times at most. The averaged generator of the end is kept, not the one of the best FID. D's
blocks are the usual ones, for the paper's table of layers wasn't at hand; the rest follows its text and facts on its
code.
"""

import copy
import dataclasses
from itertools import pairwise

import torch
from jaxtyping import Float
from torch import Tensor, nn
from torch.nn import functional as F

from ..blocks import SPADEResnetBlock, conv
from ..config import TrainingConfig, resolve_precision
from ..data.base import Dataset
from ..generators import Generator, latent_size
from ..initialisation import init_spade
from ..labels import LabelSpace, resize_segmap
from ..sampling import to_batch
from ..training import copy_directions, frozen, update_average
from .common import batches

NOISE = 64  # channels of the noise map
BETAS = 0.0, 0.999  # Adam's
LABEL_MIX = 10.0  # weight of LabelMix's consistency; the paper: 10, on Cityscapes 5
MOST_HALVINGS = 6


class OASISGenerator(Generator):
    """G(segmap, z) -> image in [-1, 1]: SPADE's, less one block, told noise and label map at every layer (3.3).

    segmap: (n, label_channels, H, W), H and W 32 times `latent`. z: (n, z_dim), one style for a picture, or
    (n, z_dim, H, W), one for each pixel; drawn from N(0, 1), one for a picture, where it is None. Six blocks of widths
    16, 16, 8, 4, 2, 1 times ngf with five doublings between them.
    """

    def __init__(
        self, label_channels: int, *, latent: tuple[int, int], ngf: int = 64, z_dim: int = NOISE,
        hidden_channels: int = 128, norm: str = "syncbatch", spectral: bool = True,
    ):  # fmt: skip
        super().__init__(label_channels, z_dim)
        self.latent, told = latent, label_channels + z_dim
        options: dict = dict(hidden_channels=hidden_channels, norm=norm, spectral=spectral)
        self.fc = nn.Conv2d(told, 16 * ngf, 3, padding=1)
        pairs = pairwise((16, 16, 16, 8, 4, 2, 1))
        self.blocks = nn.ModuleList(SPADEResnetBlock(a * ngf, b * ngf, told, **options) for a, b in pairs)
        self.conv_img = nn.Conv2d(ngf, 3, 3, padding=1)

    def forward(self, segmap: Float[Tensor, "n l H W"], z: Tensor | None = None) -> Float[Tensor, "n 3 H W"]:
        """Paint the label map in the style of z."""
        told = torch.cat([self.noise_map(segmap, z), segmap], dim=1)
        x = self.fc(resize_segmap(told, self.latent))
        x = self.blocks[0](x, told)
        for block in self.blocks[1:]:
            x = block(F.interpolate(x, scale_factor=2, mode="nearest"), told)
        return torch.tanh(self.conv_img(F.leaky_relu(x, 0.2)))

    def noise_map(self, segmap: Float[Tensor, "n l H W"], z: Tensor | None) -> Float[Tensor, "n z H W"]:
        """The 3D noise: z spread over the picture, unless it has a value for each pixel already."""
        if z is None:
            assert self.z_dim is not None  # always given
            z = torch.randn(len(segmap), self.z_dim, device=segmap.device)
        spread = z[:, :, None, None] if z.ndim == 2 else z
        return spread.to(segmap.dtype).expand(-1, -1, *segmap.shape[2:])


class ResidualBlock(nn.Module):
    """y = conv(a(conv(a(x)))) + 1x1 conv(x), a = LeakyReLU 0.2, spectral norm on all three.

    x: (n, fin, h, w); y: (n, fout, h2, w2), twice the size with `up` (x is doubled first), else half of it (averaged).
    """

    def __init__(self, fin: int, fout: int, *, up: bool):
        super().__init__()
        self.up = up
        self.conv_0, self.conv_1 = (conv(a, fout, 3, padding=1, spectral=True) for a in (fin, fout))
        self.conv_s = conv(fin, fout, 1, bias=False, spectral=True)

    def forward(self, x: Float[Tensor, "n fin h w"]) -> Float[Tensor, "n fout h2 w2"]:
        """Main path plus skip path, then or before them the change of size."""
        if self.up:
            x = F.interpolate(x, scale_factor=2, mode="nearest")
        y = self.conv_1(F.leaky_relu(self.conv_0(F.leaky_relu(x, 0.2)), 0.2)) + self.conv_s(x)
        return y if self.up else F.avg_pool2d(y, 2)


class OASISDiscriminator(nn.Module):
    """D(image) -> logits of N + 1 classes for each pixel, "fake" last; a U-Net that isn't shown the label map (3.2).

    image: (n, 3, H, W); logits: (n, num_classes + 1, H, W). Widths 2, 2, 4, 4, 8, 8 times ndf on the way down, of which
    the first `halvings` are taken, the same back up, each beside the features of its size.
    """

    def __init__(self, num_classes: int, *, ndf: int = 64, halvings: int = MOST_HALVINGS):
        super().__init__()
        widths = [k * ndf for k in (2, 2, 4, 4, 8, 8)][:halvings]
        self.down = nn.ModuleList(ResidualBlock(a, b, up=False) for a, b in pairwise((3, *widths)))
        back = [*widths[-2::-1], ndf]
        beside = [widths[-1], *(2 * width for width in widths[-2::-1])]
        self.up = nn.ModuleList(ResidualBlock(a, b, up=True) for a, b in zip(beside, back))
        self.head = nn.Conv2d(ndf, num_classes + 1, 1)

    def forward(self, image: Float[Tensor, "n 3 H W"]) -> Float[Tensor, "n c H W"]:
        """What each pixel is: its class, or fake."""
        skips, x = [], image
        for block in self.down:
            x = block(x)
            skips.append(x)
        x = self.up[0](skips.pop())
        for block in self.up[1:]:
            x = block(torch.cat([x, skips.pop()], dim=1))
        return self.head(F.leaky_relu(x, 0.2))


def class_weights(classes: Float[Tensor, "n c h w"]) -> Float[Tensor, "c"]:
    """alpha_c = pixels / (pixels of class c x classes there are), over the batch; 0 for a class that isn't there (3.2).

    So each class weighs as much as any other, be it a sky or a traffic light. The number of classes is no part of the
    paper's formula: without it real pixels would weigh as many times more than fake ones as there are classes.
    """
    counts = classes.sum((0, 2, 3))
    there = counts > 0
    return torch.where(there, classes.sum() / (counts.clamp(min=1) * there.sum()), 0.0)


def name_the_classes(logits: Float[Tensor, "n c1 h w"], classes: Float[Tensor, "n c h w"]) -> Float[Tensor, ""]:
    """Class-balanced cross entropy with the label map: mean over pixels of -alpha log D of the pixel's class.

    D's loss on real images, and G's on its own: to be taken for what the label map asks for.
    """
    weighted = classes * class_weights(classes)[:, None, None]
    return -(weighted * logits.log_softmax(1)[:, :-1]).sum(1).mean()


def name_them_fake(logits: Float[Tensor, "n c1 h w"]) -> Float[Tensor, ""]:
    """D's loss on generated images: mean over pixels of -log D of the class "fake"."""
    return -logits.log_softmax(1)[:, -1].mean()


def mix_mask(classes: Float[Tensor, "n c h w"]) -> Float[Tensor, "n 1 h w"]:
    """LabelMix's mask: each class of each picture is 0 or 1 at random, so borders run along those of the labels."""
    drawn = torch.randint(2, (*classes.shape[:2], 1, 1), device=classes.device).to(classes.dtype)
    return (classes * drawn).sum(1, keepdim=True)


def label_mix(real: Tensor, fake: Tensor, mask: Float[Tensor, "n 1 h w"]) -> Tensor:
    """The real one where the mask is 1, the fake one elsewhere; of images, or of D's logits."""
    return mask * real + (1 - mask) * fake


class OASISTrainer:
    """Adversarial supervision alone: `step(segmap, image)` moves G, then D, and gives both losses.

    GAN: G's. D_real, D_Fake: D's on real and on generated images. D_mix: LabelMix's consistency, weighted.
    discriminator: from images to logits of N + 1 classes. labels: says which channels of segmap are classes; "don't
    care" pixels ask for nothing.
    """

    def __init__(self, generator: OASISGenerator, discriminator: nn.Module, config: TrainingConfig, labels: LabelSpace):
        self.generator, self.discriminator = generator.train(), discriminator.train()
        self.config, self.labels = resolve_precision(config, "cpu"), labels
        self.averaged = copy.deepcopy(generator).requires_grad_(False).eval()
        self.optimizer_g = torch.optim.Adam(generator.parameters(), config.lr_generator, BETAS)
        self.optimizer_d = torch.optim.Adam(discriminator.parameters(), config.lr_discriminator, BETAS)
        self.steps_done = 0

    def classes(self, segmap: Float[Tensor, "n l h w"]) -> Float[Tensor, "n c h w"]:
        """The channels that D is to name; all 0 at "don't care"."""
        classes = segmap[:, : self.labels.num_ids].clone()
        if self.labels.dont_care:
            classes[:, -1] = 0
        return classes

    def step(self, segmap: Float[Tensor, "n l h w"], image: Float[Tensor, "n 3 h w"]) -> dict[str, float]:
        """One step of G, one of D."""
        classes = self.classes(segmap)
        losses = self.generator_step(segmap, classes) | self.discriminator_step(segmap, image, classes)
        return {name: float(value) for name, value in losses.items()}

    def generator_step(self, segmap: Tensor, classes: Tensor) -> dict[str, Tensor]:
        """Move G so that D finds the label map in its pictures."""
        with frozen(self.discriminator):
            loss = name_the_classes(self.judge(self.paint(segmap)), classes)
            _descend(self.optimizer_g, loss)
        self.steps_done += 1
        # A young average forgets faster, as in Trainer.
        update_average(self.averaged, self.generator, min(self.config.ema, self.steps_done / (self.steps_done + 10)))
        copy_directions(self.averaged, self.generator)
        return {"GAN": loss.detach()}

    def discriminator_step(self, segmap: Tensor, image: Tensor, classes: Tensor) -> dict[str, Tensor]:
        """Move D so that it names the classes of real pixels and tells fake ones, and mixtures as their parts."""
        with torch.no_grad():
            fake = self.paint(segmap)
        on_real, on_fake = self.judge(torch.cat([image, fake])).chunk(2)
        mask = mix_mask(classes)
        on_mixed = self.judge(label_mix(image, fake, mask))
        losses = {
            "D_real": name_the_classes(on_real, classes),
            "D_Fake": name_them_fake(on_fake),
            "D_mix": LABEL_MIX * F.mse_loss(on_mixed, label_mix(on_real, on_fake, mask)),
        }
        _descend(self.optimizer_d, torch.stack([*losses.values()]).sum())
        return {name: value.detach() for name, value in losses.items()}

    def paint(self, segmap: Tensor) -> Tensor:
        """Pictures with noise of their own, in float32."""
        with self._autocast():
            return self.generator(segmap).float()

    def judge(self, image: Tensor) -> Tensor:
        """D's logits in float32."""
        with self._autocast():
            return self.discriminator(image).float()

    def set_epoch(self, epoch: int) -> None:
        """Set both learning rates for `epoch` (from 1)."""
        for optimizer, rate in (
            (self.optimizer_g, self.config.lr_generator), (self.optimizer_d, self.config.lr_discriminator)
        ):  # fmt: skip
            for group in optimizer.param_groups:
                group["lr"] = rate * self.config.lr_factor(epoch)

    def _autocast(self) -> torch.autocast:
        return torch.autocast("cpu", torch.bfloat16, enabled=self.config.precision != "fp32")


def _descend(optimizer: torch.optim.Optimizer, loss: Tensor) -> None:
    optimizer.zero_grad(set_to_none=True)
    loss.backward()
    optimizer.step()


def halvings(config: TrainingConfig) -> int:
    """How often D can halve the picture, six times at most."""
    return max(k for k in range(1, MOST_HALVINGS + 1) if not (config.height % 2**k or config.width % 2**k))


def train_oasis(
    dataset: Dataset, config: TrainingConfig, *, steps: int, seed: int, progress: bool = False
) -> Generator:
    """Train with D's cross entropies alone: no perceptual loss, no feature matching, no encoder.

    dataset: its "don't care" pixels are left out of the losses.
    config: height, width, batch size, widths, hidden_channels, norm, rates and their fall, ema, init, precision count.
    steps: batches to train for. seed: of weights, order and noise. progress: show a bar.
    Gives the averaged generator in evaluation mode (without config.ema it follows at once). Errors: a UserError where
    height or width is no multiple of 32, or the batch is larger than the data set.
    """
    config = dataclasses.replace(config, seed=seed)
    torch.manual_seed(seed)
    sizes: dict = dict(latent=latent_size((config.height, config.width)), ngf=config.generator_width)
    options: dict = dict(hidden_channels=config.hidden_channels, norm=config.norm)
    generator = init_spade(OASISGenerator(dataset.labels.num_channels, **sizes, **options), config.init_gain)
    discriminator = OASISDiscriminator(dataset.labels.num_ids, ndf=config.ndf, halvings=halvings(config))
    trainer = OASISTrainer(generator, init_spade(discriminator, config.init_gain), config, dataset.labels)
    for epoch, sample in batches(dataset, config, steps=steps, progress=progress):
        trainer.set_epoch(epoch)
        batch = to_batch(sample, dataset.labels, torch.device("cpu"))
        trainer.step(batch["segmap"], batch["image"])
    return trainer.averaged
