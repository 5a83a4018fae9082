"""Stage 06: a SPADE small enough to train again and again, and patients, trainings with one hidden fault each.

    networks = small_networks(0, labels.num_channels)     # G and D, at the start of a seed
    trainer, curves = train("patient 1", seed=0, steps=100)
    points, curves = patient_5(seed=0)

Streets at 32x64. What ails a patient stands here and nowhere in the notebook.
"""

import math
from collections import defaultdict
from collections.abc import Iterator
from typing import Any

import torch
from jaxtyping import Float
from torch import Tensor, nn
from torch.nn import functional as F

from ..blocks import SPADEResnetBlock
from ..config import TrainingConfig
from ..data import Streets, stack
from ..data.base import Sample
from ..discriminators import MultiScaleDiscriminator
from ..generators import Generator
from ..initialisation import init_spade
from ..losses import Scales
from ..sampling import to_batch
from ..training import Batch, Trainer

HEIGHT, WIDTH, SCENES = 32, 64, 96
SHOWN = (5, 9)  # unseen scenes
Curves = dict[str, list[float]]


class SmallSPADE(Generator):
    """Label map (n, l, 32, 64) -> image (n, 3, 32, 64): the map at 8x16, then two SPADE blocks and two doublings."""

    def __init__(self, label_channels: int, spectral: bool = True):
        super().__init__(label_channels, None)
        options: dict = dict(hidden_channels=24, norm="batch", spectral=spectral)
        first, second = (SPADEResnetBlock(32, width, label_channels, **options) for width in (32, 24))
        self.start, self.blocks = nn.Conv2d(label_channels, 32, 3, padding=1), nn.ModuleList([first, second])
        self.to_rgb = nn.Conv2d(24, 3, 3, padding=1)

    def forward(
        self, segmap: Float[Tensor, "n l h w"], z: Float[Tensor, "n z_dim"] | None = None
    ) -> Float[Tensor, "n 3 h w"]:
        """Paint a label map."""
        x = self.start(F.interpolate(segmap, scale_factor=1 / 4))
        for block in self.blocks:
            x = F.interpolate(block(x, segmap), scale_factor=2)
        return torch.tanh(self.to_rgb(F.leaky_relu(x, 0.2)))


def small_networks(seed: int, label_channels: int, spectral: bool = True) -> tuple[Generator, MultiScaleDiscriminator]:
    """SmallSPADE and a discriminator of one scale, at the start of a seed."""
    torch.manual_seed(seed)
    generator = init_spade(SmallSPADE(label_channels, spectral), 1.0)
    options: dict = dict(ndf=16, num_scales=1, num_layers=3, spectral=spectral)
    return generator, init_spade(MultiScaleDiscriminator(label_channels, **options), 1.0)


def recipe(**changes: Any) -> TrainingConfig:
    """The published losses and rates at this size; the base rate is ten times the paper's, for so few steps."""
    size: dict = dict(height=HEIGHT, width=WIDTH, batch_size=4, lr=2e-3, features="second_opinion", reuse_fake=True)
    return TrainingConfig(**size | changes)


def batches(seed: int) -> Iterator[Batch]:
    """Endless batches of four of the training scenes, in the order of a seed."""
    scenes = Streets(SCENES, height=HEIGHT, width=WIDTH)
    whole = to_batch(stack([scenes[i] for i in range(SCENES)]), scenes.labels, torch.device("cpu"))
    order = torch.Generator().manual_seed(seed)
    while True:
        chosen = torch.randint(SCENES, (4,), generator=order)
        yield {name: value[chosen] for name, value in whole.items()}


def unseen() -> Sample:
    """Two scenes of the validation split."""
    scenes = Streets(10, split="val", height=HEIGHT, width=WIDTH)
    return stack([scenes[i] for i in SHOWN])


@torch.no_grad()
def paint(generator: Generator, sample: Sample) -> Float[Tensor, "n 3 h w"]:
    """The label maps of a sample, painted in evaluation mode."""
    device = next(generator.parameters()).device
    images = generator.eval()(to_batch(sample, Streets.labels, device)["segmap"])
    generator.train()
    return images.cpu()


class WrongSign(Trainer):
    """G's adversarial loss has the wrong sign: G helps D."""

    def gan_generator(self, pred_fake: Scales) -> Tensor:
        """The same with a minus."""
        return -super().gan_generator(pred_fake)


class Detached(Trainer):
    """The fake is detached in G's step, too: nothing reaches G."""

    def generate(self, batch: Batch) -> tuple[Tensor, Tensor | None, Tensor | None]:
        """An image without its history."""
        fake, mu, logvar = super().generate(batch)
        return fake.detach().requires_grad_(), mu, logvar


class HastyD(Trainer):
    """D's learning rate is fifty times too large."""

    def __init__(self, *networks: Any, **options: Any):
        super().__init__(*networks, **options)
        self.optimizer_d.param_groups[0]["lr"] *= 50


class StrongD(Trainer):
    """D takes five steps for each of G's."""

    def discriminator_step(self, batch: Batch, fake: Tensor | None = None) -> dict[str, Tensor]:
        """Five of them; the losses of the last."""
        for _ in range(4):
            super().discriminator_step(batch, fake)
        return super().discriminator_step(batch, fake)


KINDS: dict[str, type[Trainer]] = {
    "healthy": Trainer, "patient 1": WrongSign, "patient 2": Detached, "patient 3": HastyD, "patient 4": StrongD,
}  # fmt: skip


def make_trainer(kind: str, seed: int, **changes: Any) -> Trainer:
    """The Trainer of a kind, at the start of a seed; changes: of the recipe."""
    config = recipe(**changes)
    return KINDS[kind](*small_networks(seed, Streets.labels.num_channels, config.spectral), config=config)


def train(kind: str, seed: int, steps: int, **changes: Any) -> tuple[Trainer, Curves]:
    """Train one kind from one seed; its losses, step by step."""
    trainer, curves = make_trainer(kind, seed, **changes), defaultdict(list)
    for _, batch in zip(range(steps), batches(seed)):
        for name, value in trainer.step(batch).items():
            curves[name].append(value)
    return trainer, dict(curves)


def spots(count: int) -> Float[Tensor, "n 2"]:
    """Real points: eight spots on a circle of radius 2, each of standard deviation 0.05."""
    return centres()[torch.randint(8, (count,))] + 0.05 * torch.randn(count, 2)


def centres() -> Float[Tensor, "8 2"]:
    """The middles of the spots."""
    angle = torch.arange(8) * (2 * math.pi / 8)
    return 2 * torch.stack([angle.cos(), angle.sin()], dim=1)


def largest_share(points: Float[Tensor, "n 2"]) -> float:
    """Which share of the points the spot with most of them has; each point counts for the spot nearest to it."""
    nearest = torch.cdist(points, centres()).argmin(dim=1)
    return float(torch.bincount(nearest, minlength=8).max() / len(points))


def patient_5(seed: int, steps: int = 1000) -> tuple[Float[Tensor, "n 2"], Curves]:
    """The spots once more, with one fault."""
    return on_spots(seed, steps, g_rate=4e-3)  # four times D's: G runs to whatever D likes best at the moment


def on_spots(
    seed: int, steps: int = 1000, *, g_rate: float = 1e-3, points: int = 128
) -> tuple[Float[Tensor, "n 2"], Curves]:
    """Two small networks trained on the spots by the hinge loss: 400 points that G draws at the end, and the losses."""
    torch.manual_seed(seed)
    generator, discriminator = (
        nn.Sequential(nn.Linear(2, 64), nn.ReLU(), nn.Linear(64, 64), nn.ReLU(), nn.Linear(64, out)) for out in (2, 1)
    )
    move_g = torch.optim.Adam(generator.parameters(), g_rate, (0.5, 0.9))
    move_d = torch.optim.Adam(discriminator.parameters(), 1e-3, (0.5, 0.9))
    curves = defaultdict(list)
    for _ in range(steps):
        loss_g = -discriminator(generator(torch.randn(points, 2))).mean()
        descend(move_g, loss_g)
        fake, real = discriminator(generator(torch.randn(points, 2)).detach()), discriminator(spots(points))
        loss_fake, loss_real = F.relu(1 + fake).mean(), F.relu(1 - real).mean()
        descend(move_d, loss_fake + loss_real)
        for name, loss in {"GAN": loss_g, "D_Fake": loss_fake, "D_real": loss_real}.items():
            curves[name].append(loss.item())
    with torch.no_grad():
        return generator(torch.randn(400, 2)), dict(curves)


def descend(optimizer: torch.optim.Optimizer, loss: Tensor) -> None:
    """One step down a loss."""
    optimizer.zero_grad()
    loss.backward()
    optimizer.step()
