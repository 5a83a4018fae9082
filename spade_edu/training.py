"""GAN training: one generator step, one discriminator step (SPADE paper, section 3 and appendix A).

`Trainer` holds the networks and their optimizers and never touches the disk; `runs.Run` wraps it in a run folder with
checkpoints, samples and resume.
"""

import copy
import operator
from collections.abc import Iterator, Mapping, Sequence
from contextlib import AbstractContextManager, contextmanager
from functools import reduce
from typing import Literal

import torch
from jaxtyping import Float
from torch import Tensor, nn

from . import distributed, losses
from .config import TrainingConfig, resolve_precision
from .discriminators import MultiScaleDiscriminator
from .encoder import StyleEncoder, reparameterise
from .generators import Generator
from .models import feature_network
from .spectral import SpectralNorm, full_precision

Batch = Mapping[str, Tensor]


class Trainer:
    """Trains a generator (and style encoder) against a discriminator, as `config` says.

    `step(batch)` does one G and one D step and gives the losses, weighted, by the official code's names (between the G
    steps of config.d_steps_per_g, those of the last one):

        GAN       G's adversarial loss                      D_Fake    D's loss on images that G made
        GAN_Feat  feature matching, if lambda_feat > 0      D_real    D's loss on real images
        VGG       perceptual loss, if there are features    KLD       KL divergence of the style code, with an encoder

    batch: "segmap" (n, l, h, w) and "image" (n, 3, h, w) in [-1, 1], on the networks' device. features: gives the
    feature maps of the perceptual loss, weighted by `feature_weights`; None leaves it out, and "config" takes what
    config.features names (where VGG-19's weights can't be had, training says so once and goes on without).
    """

    def __init__(
        self,
        generator: Generator,
        discriminator: MultiScaleDiscriminator,
        encoder: StyleEncoder | None = None,
        config: TrainingConfig | None = None,
        *,
        features: nn.Module | Literal["config"] | None = "config",
        feature_weights: tuple[float, ...] = losses.VGG_WEIGHTS,
    ):
        self.device = next(generator.parameters()).device
        self.config = config = resolve_precision(config or TrainingConfig(), self.device)
        self.generator, self.discriminator, self.encoder = generator, discriminator, encoder
        self.averaged = copy.deepcopy(generator).requires_grad_(False) if config.ema else None
        if isinstance(features, str):  # "config"
            features, feature_weights = feature_network(config, self.device)
        self.features, self.feature_weights = features, feature_weights
        if config.channels_last:
            for network in self.named_networks().values():
                network.to(memory_format=torch.channels_last)
        moved = [network for network in (generator, encoder) if network is not None]
        self.optimizer_g: torch.optim.Optimizer = self.adam(moved, config.lr_generator)
        self.optimizer_d: torch.optim.Optimizer = self.adam([discriminator], config.lr_discriminator)
        self.scaler = torch.amp.GradScaler(self.device.type, enabled=config.precision == "fp16")
        self.kl_weight = config.kl_weight(1)
        self.steps_done = 0  # of the generator
        self.batches_done = 0
        self.generator_losses: dict[str, Tensor] = {}  # of its last step
        self.skipped = torch.zeros((), device=self.device)  # steps in which fp16's gradients overflowed
        self.train()

    def adam(self, networks: Sequence[nn.Module], lr: float) -> torch.optim.Adam:
        """Adam over all weights of some networks."""
        parameters = [p for network in networks for p in network.parameters()]
        fused = True if self.config.fast and self.device.type != "meta" else None
        return torch.optim.Adam(parameters, lr, (self.config.beta1, self.config.beta2), fused=fused)

    def step(self, batch: Batch) -> dict[str, float]:
        """One generator step, where it is its turn, then one discriminator step on the same batch."""
        return {name: float(value) for name, value in self.step_tensors(batch).items()}

    def step_tensors(self, batch: Batch) -> dict[str, Tensor]:
        """The same, with losses left on the device: reading them makes the host wait for a GPU."""
        if self.config.precision != "fp32":  # 0 and 1 are exact in 16 bits; cast once, not in every layer
            batch = {**batch, "segmap": batch["segmap"].to(self.dtype())}
        fake = None
        if self.batches_done % self.config.d_steps_per_g == 0:
            self.generator_losses, fake = self.generator_step(batch)
        self.batches_done += 1
        return self.generator_losses | self.discriminator_step(batch, fake if self.config.reuse_fake else None)

    def generator_step(self, batch: Batch) -> tuple[dict[str, Tensor], Tensor]:
        """Move G (and E): D takes the fake for real, its features match, the style code stays near N(0, 1)."""
        with self.autocast(), frozen(self.discriminator):
            fake, mu, logvar = self.generate(batch)
            pred_fake, pred_real = self.discriminate(batch, fake)
        parts = {"GAN": self.gan_generator(pred_fake)}
        if self.config.lambda_feat:
            parts["GAN_Feat"] = self.config.lambda_feat * losses.feature_matching(pred_fake, pred_real)
        if self.features is not None and self.config.lambda_vgg:
            with self.autocast():
                distance = losses.perceptual(self.features, self.feature_weights, fake, batch["image"])
            parts["VGG"] = self.config.lambda_vgg * distance
        if mu is not None and logvar is not None:
            parts["KLD"] = self.kl_weight * losses.kl_divergence(mu.float(), logvar.float())
        self.update(self.optimizer_g, parts)
        self.steps_done += 1
        if self.averaged is not None:
            update_average(self.averaged, self.generator, self.average_decay())
            copy_directions(self.averaged, self.generator)
        return {name: value.detach() for name, value in parts.items()}, fake.detach()

    def discriminator_step(self, batch: Batch, fake: Tensor | None = None) -> dict[str, Tensor]:
        """Move D so that it tells fake from real. The fake is drawn anew from the updated G, unless one is given."""
        with self.autocast():
            if fake is None:
                with torch.no_grad():
                    fake, _, _ = self.generate(batch)
            pred_fake, pred_real = self.discriminate(batch, fake)
        parts = self.gan_discriminator(pred_fake, pred_real)
        self.update(self.optimizer_d, parts)
        self.update_scale()
        return {name: value.detach() for name, value in parts.items()}

    def average_decay(self) -> float:
        """How much of the averaged generator a step keeps."""
        # A young average forgets faster, or it would lag behind weights that still move far in every step.
        return min(self.config.ema, self.steps_done / (self.steps_done + 10))

    def generate(self, batch: Batch) -> tuple[Float[Tensor, "n 3 h w"], Tensor | None, Tensor | None]:
        """Draw an image for each label map, in the style of the real one where there is an encoder."""
        if self.encoder is None:
            return self.generator(batch["segmap"]), None, None
        mu, logvar = self.encoder(batch["image"])
        z = reparameterise(mu.float(), logvar.float())
        return self.generator(batch["segmap"], z), mu, logvar

    def discriminate(self, batch: Batch, fake: Tensor) -> tuple[losses.Scales, losses.Scales]:
        """D on fake and real images of the same label maps: for each, the feature maps of each scale."""
        return self.discriminator.pair(batch["segmap"], fake, batch["image"].to(fake.dtype))

    def gan_generator(self, pred_fake: losses.Scales) -> Tensor:
        """The adversarial part of G's loss."""
        if self.config.gan == "lsgan":
            return losses.lsgan(pred_fake, True)
        return losses.hinge_generator(pred_fake)

    def gan_discriminator(self, pred_fake: losses.Scales, pred_real: losses.Scales) -> dict[str, Tensor]:
        """D's loss on each half; pix2pixHD's least squares are halved as published."""
        if self.config.gan == "lsgan":
            return {
                "D_Fake": losses.lsgan(pred_fake, False) / 2,
                "D_real": losses.lsgan(pred_real, True) / 2,
            }
        return {"D_Fake": losses.hinge_fake(pred_fake), "D_real": losses.hinge_real(pred_real)}

    def update(self, optimizer: torch.optim.Optimizer, parts: dict[str, Tensor]) -> None:
        """Backward pass of the sum of a loss's parts and optimizer step, scaled in fp16."""
        loss = reduce(operator.add, parts.values())
        optimizer.zero_grad(set_to_none=True)
        self.scaler.scale(loss).backward()
        distributed.average_gradients(p for group in optimizer.param_groups for p in group["params"])
        self.scaler.step(optimizer)

    def update_scale(self) -> None:
        """Adapt the loss scale of fp16; it falls where the scaler left a step out."""
        if self.scaler.is_enabled():
            one = torch.ones((), device=self.device)
            before = self.scaler.scale(one)
            self.scaler.update()
            self.skipped += self.scaler.scale(one) < before

    def set_epoch(self, epoch: int) -> None:
        """Set both learning rates and the KL weight for `epoch` (from 1)."""
        self.kl_weight = self.config.kl_weight(epoch)
        factor = self.config.lr_factor(epoch)
        for group in self.optimizer_g.param_groups:
            group["lr"] = self.config.lr_generator * factor
        for group in self.optimizer_d.param_groups:
            group["lr"] = self.config.lr_discriminator * factor

    def autocast(self) -> AbstractContextManager:
        """Mixed precision as configured."""
        if self.config.precision == "fp32":
            return full_precision(self.device)
        return torch.autocast(self.device.type, self.dtype())

    def dtype(self) -> torch.dtype:
        """The 16-bit type of mixed precision."""
        return torch.float16 if self.config.precision == "fp16" else torch.bfloat16

    def named_networks(self) -> dict[str, nn.Module]:
        """The trained networks by their letters, and the averaged generator where there is one."""
        named = {"G": self.generator, "D": self.discriminator, "E": self.encoder, "G_ema": self.averaged}
        return {name: network for name, network in named.items() if network is not None}

    def named_tensors(self) -> Iterator[tuple[str, str, Tensor]]:
        """All that training leaves behind: what it is ("weights of G"), its name there, and the tensor."""
        names: dict[Tensor, tuple[str, str]] = {}
        for letter, network in self.named_networks().items():
            for name, value in network.state_dict().items():
                yield f"weights of {letter}", name, value
            names |= {parameter: (letter, name) for name, parameter in network.named_parameters()}
        for optimizer in (self.optimizer_g, self.optimizer_d):
            for parameter, values in optimizer.state.items():
                letter, name = names[parameter]
                for key, value in values.items():
                    yield f"moments of {letter}", f"{key} of {name}", value

    def train(self) -> None:
        """Put all networks in training mode (the averaged one only ever evaluates)."""
        for network in self.named_networks().values():
            network.train()
        if self.averaged is not None:
            self.averaged.eval()

    def best_generator(self) -> Generator:
        """The generator to draw samples from: the averaged one where there is one."""
        return self.generator if self.averaged is None else self.averaged

    def state_dict(self) -> dict:
        """Optimizers, loss scale and step; the weights are kept apart (see `named_networks`)."""
        return {
            "steps": self.steps_done,
            "batches": self.batches_done,
            "generator_losses": self.generator_losses,
            "optimizer_g": self.optimizer_g.state_dict(),
            "optimizer_d": self.optimizer_d.state_dict(),
            "scaler": self.scaler.state_dict(),
            "skipped": int(self.skipped),
        }

    def load_state_dict(self, state: dict) -> None:
        """Continue from `state_dict()`."""
        self.steps_done = state["steps"]
        self.batches_done = state.get("batches", self.steps_done)  # earlier versions had a G step for each batch
        self.generator_losses = {n: v.to(self.device) for n, v in state.get("generator_losses", {}).items()}
        for name, optimizer in (("optimizer_g", self.optimizer_g), ("optimizer_d", self.optimizer_d)):
            optimizer.load_state_dict(state[name])
            for parameter, values in optimizer.state.items():
                # In their weights' memory format, as Adam made them.
                values |= {k: torch.empty_like(parameter).copy_(values[k]) for k in ("exp_avg", "exp_avg_sq")}
        self.scaler.load_state_dict(state["scaler"])
        self.skipped.fill_(state.get("skipped", 0))  # version 0.1 didn't count them


@contextmanager
def frozen(network: nn.Module) -> Iterator[None]:
    """Let gradients pass through a network without computing those of its weights (nobody would use them)."""
    network.requires_grad_(False)
    try:
        yield
    finally:
        network.requires_grad_(True)


@torch.no_grad()
def update_average(averaged: nn.Module, network: nn.Module, decay: float) -> None:
    """averaged = decay averaged + (1 - decay) network, for weights and running statistics alike."""
    for old, new in zip(averaged.state_dict().values(), network.state_dict().values()):
        if old.is_floating_point():
            old.lerp_(new, 1 - decay)
        else:
            old.copy_(new)


@torch.no_grad()
def copy_directions(averaged: nn.Module, network: nn.Module, kind: type[nn.Module] = SpectralNorm) -> None:
    """Give an averaged network's spectral norms, modules of a kind whose buffers are u and v, the newest of these.

    A mean of unit vectors that turn is shorter than 1, so with it sigma = u^T W v would come out too small.
    """
    for old, new in zip(averaged.modules(), network.modules()):
        if isinstance(new, kind):
            for mean, newest in zip(old.buffers(recurse=False), new.buffers(recurse=False)):
                mean.copy_(newest)
