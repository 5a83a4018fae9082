"""Before a training with the student's file begins: its networks and steps are tried once, on copies."""

import copy

import torch
from torch import Tensor, nn

from ..config import TrainingConfig
from .own_code import GENERATORS, OwnCode, OwnNetworks, code_length, shown, tensors


def try_out(code: OwnCode, networks: OwnNetworks, config: TrainingConfig, channels: int) -> None:
    """Each network on random label maps, then one step of each kind; networks and random numbers stay as they were.

    Errors: a UserError for the first part that breaks its contract.
    """
    device = next(networks.generator.parameters()).device
    with torch.random.fork_rng([device] if device.type == "cuda" else []):
        with code.guarded(GENERATORS[config.model]):
            copies = copy.deepcopy(networks)
        batch = random_batch(config, channels, device)
        _try_generator(code, copies.generator, config, batch)
        _try_discriminator(code, copies.discriminator, batch)
        if copies.encoder is not None:
            _try_encoder(code, copies.encoder, config, batch)
        _try_steps(code, copies, batch)


def random_batch(config: TrainingConfig, channels: int, device: torch.device) -> dict[str, Tensor]:
    """Two label maps and images of a training's size."""
    ids = torch.randint(channels, (2, config.height, config.width), device=device)
    segmap = nn.functional.one_hot(ids, channels).movedim(-1, 1).float()
    return {"segmap": segmap, "image": torch.rand(2, 3, config.height, config.width, device=device) * 2 - 1}


def _try_generator(code: OwnCode, generator: nn.Module, config: TrainingConfig, batch: dict[str, Tensor]) -> None:
    name, length = GENERATORS[config.model], code_length(config)
    z = None if length is None else torch.randn(2, length, device=batch["segmap"].device)
    pictures = []
    for segmap in (batch["segmap"], batch["segmap"].roll(1, dims=1)):
        torch.manual_seed(0)  # of noise that it may draw
        with torch.no_grad(), code.guarded(name):
            pictures.append(generator(segmap) if z is None else generator(segmap, z))
    image = batch["image"]
    if not torch.is_tensor(pictures[0]) or pictures[0].shape != image.shape:
        raise code.fault(name, f"it gives {shown(pictures[0])}, expected pictures of shape {tuple(image.shape)}.")
    if not torch.isfinite(pictures[0]).all():
        raise code.not_a_number(name, [generator], lambda: generator(batch["segmap"], z))
    if pictures[0].abs().max() > 1:
        raise code.fault(name, "its colours leave [-1, 1]: end with torch.tanh.")
    if torch.equal(*pictures):
        raise code.fault(name, "it paints the same for two different label maps: nothing of segmap gets into it.")


def _try_discriminator(code: OwnCode, discriminator: nn.Module, batch: dict[str, Tensor]) -> None:
    name, arguments = "MultiScaleDiscriminator", (batch["segmap"], batch["image"])
    with torch.no_grad(), code.guarded(name):
        scales = discriminator(*arguments)
    sound = isinstance(scales, list | tuple) and scales and all(isinstance(s, list | tuple) and s for s in scales)
    if not sound or not all(torch.is_tensor(feature) for scale in scales for feature in scale):
        raise code.fault(name, f"it gives {shown(scales)}, expected a list of features for each scale.")
    verdict = next((s[-1] for s in scales if s[-1].ndim != 4 or s[-1].shape[:2] != (2, 1)), None)
    if verdict is not None:
        raise code.fault(name, f"a scale ends with {shown(verdict)}, expected a verdict of shape (2, 1, h, w).")
    if not all(torch.isfinite(feature).all() for feature in tensors(scales)):
        raise code.not_a_number(name, [discriminator], lambda: discriminator(*arguments))


def _try_encoder(code: OwnCode, encoder: nn.Module, config: TrainingConfig, batch: dict[str, Tensor]) -> None:
    with torch.no_grad(), code.guarded("StyleEncoder"):
        style = encoder(batch["image"])
    shapes = [tuple(s.shape) for s in style if torch.is_tensor(s)] if isinstance(style, tuple) else []
    if shapes != [(2, config.z_dim)] * 2:
        got = ", ".join(map(str, shapes)) or shown(style)
        raise code.fault("StyleEncoder", f"it gives {got}, expected mu and logvar of shape (2, {config.z_dim}) each.")
    if not all(torch.isfinite(s).all() for s in style):
        raise code.not_a_number("StyleEncoder", [encoder], lambda: encoder(batch["image"]))


def _try_steps(code: OwnCode, networks: OwnNetworks, batch: dict[str, Tensor]) -> None:
    """Each step moves its own side and leaves the other as it is."""
    optimizers = code.optimizers(networks, 1e-3)
    for network in networks.named().values():
        network.train()
    for name, step, optimizer, letters in (
        ("generator_step", code.generator_step, optimizers[0], "GE"),
        ("discriminator_step", code.discriminator_step, optimizers[1], "D"),
    ):
        before = {letter: _weights(network) for letter, network in networks.named().items()}
        step(batch, networks, optimizer)
        moved = {letter: not torch.equal(before[letter], _weights(n)) for letter, n in networks.named().items()}
        for letter, has_moved in moved.items():
            if has_moved and letter not in letters:
                raise code.fault(name, f"it moves the weights of {letter}: that is the other step's to do.")
            if not has_moved and letter in letters:
                raise code.fault(name, f"the weights of {letter} are the same after it: it never moves them.")


def _weights(network: nn.Module) -> Tensor:
    return nn.utils.parameters_to_vector(network.parameters()).detach().clone()
