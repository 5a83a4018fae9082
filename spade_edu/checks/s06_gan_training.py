"""Stage 06: a step of each network, and what keeps them in step."""

import torch
from jaxtyping import Float
from torch import Tensor, nn
from torch.nn import functional as F

from .. import losses
from .calling import Complaint
from .exercise import Case, Exercise, Wrong, case, variant
from .s05_spade_generator import label_maps
from .s06_gan_losses import HINGE, Scales, hinge_discriminator, hinge_generator, mistaken_hinge

# --- 6.5 the discriminator's step ---


class TinyGenerator(nn.Module):
    """G(segmap) -> picture: a 3x3 convolution, tanh."""

    def __init__(self, label_channels: int):
        super().__init__()
        self.conv = nn.Conv2d(label_channels, 3, 3, padding=1)

    def forward(self, segmap: Float[Tensor, "n l h w"]) -> Float[Tensor, "n 3 h w"]:
        """A picture in [-1, 1]."""
        return torch.tanh(self.conv(segmap))


class TinyDiscriminator(nn.Module):
    """D(segmap, image) -> two scales of [features, prediction]."""

    def __init__(self, label_channels: int):
        super().__init__()
        self.hidden = nn.ModuleList(nn.Conv2d(label_channels + 3, 3, 3) for _ in range(2))
        self.last = nn.ModuleList(nn.Conv2d(3, 1, 1) for _ in range(2))

    def forward(self, segmap: Float[Tensor, "n l h w"], image: Float[Tensor, "n 3 h w"]) -> Scales:
        """The second scale sees every second pixel."""
        x, result = torch.cat([segmap, image], dim=1), []
        for hidden, last in zip(self.hidden, self.last):
            features = F.leaky_relu(hidden(x), 0.2)
            result.append([features, 3 * last(features)])
            x = x[:, :, ::2, ::2]
        return result


def discriminator_loss(
    generator: nn.Module, discriminator: nn.Module, segmap: Float[Tensor, "n l h w"], real: Float[Tensor, "n 3 h w"]
) -> Float[Tensor, ""]:
    """The hinge loss of D on real pictures and on G's; its gradient reaches D and stops before G.

    generator(segmap) -> pictures; discriminator(segmap, pictures) -> for each scale its feature maps, prediction last.
    """
    with torch.no_grad():
        fake = generator(segmap)
    return losses.hinge_discriminator(discriminator(segmap, real), discriminator(segmap, fake))


def _step_cases() -> list[Case]:
    def one(text: str, n: int, classes: int, h: int, w: int) -> Case:
        networks = TinyGenerator(classes), TinyDiscriminator(classes)
        return case(text, *networks, label_maps(n, classes, h, w), torch.rand(n, 3, h, w) * 2 - 1,
                    gradient=("generator", "discriminator"))  # fmt: skip

    return [one("2 pictures", 2, 3, 7, 9), one("1 picture", 1, 2, 8, 6), one("3 pictures", 3, 4, 6, 6)]


def _step_mistaken(
    wrong: Wrong, generator: TinyGenerator, discriminator: TinyDiscriminator, segmap: Tensor, real: Tensor
) -> Tensor:
    fake: Tensor = generator(segmap)
    if "attached" not in wrong:
        fake = fake.detach()
    if "rescaled" in wrong:
        fake = (fake + 1) / 2
    if "no_gradient" in wrong:
        with torch.no_grad():
            return hinge_discriminator(discriminator(segmap, real), discriminator(segmap, fake))
    if "arguments" in wrong:
        on_real, on_fake = discriminator(real, segmap), discriminator(fake, segmap)
    else:
        on_real, on_fake = discriminator(segmap, real), discriminator(segmap, fake)
    if "real_twice" in wrong:
        on_fake = on_real
    if "fake_twice" in wrong:
        on_real = on_fake
    if "real_detached" in wrong:
        on_real = [[m.detach() for m in scale] for scale in on_real]
    if "fake_detached" in wrong:
        on_fake = [[m.detach() for m in scale] for scale in on_fake]
    if "generator" in wrong:
        return hinge_generator(on_fake)
    if "shuffled" in wrong:
        on_fake = discriminator(segmap.roll(1, -1), fake)
    return mistaken_hinge(wrong, on_real, on_fake)


_STEP = Exercise(
    stage="06",
    title="Detach where it belongs",
    goal="compute the discriminator's loss so that its gradient doesn't reach the generator",
    minutes=15,
    difficulty=2,
    reference=discriminator_loss,
    cases=_step_cases,
    mistaken=_step_mistaken,
    mistakes={
        "attached": "The fake wasn't detached in the D step: the loss sends a gradient into the generator, which is "
        "wasted work and, if it is ever stepped, makes G help D.",
        "no_gradient": "The discriminator runs under no_grad too and can't learn; only the generator's forward pass "
        "belongs there.",
        "fake_detached": "The prediction on the fake is detached; then D learns nothing from fakes. Detach the "
        "picture, before D sees it.",
        "real_detached": "The prediction on the real pictures is detached; D has to learn from them too.",
        "generator": "That is the generator's loss, -mean D(fake); here the discriminator's is asked for.",
        "arguments": "D's arguments are exchanged: discriminator(segmap, picture), the label map first.",
        "real_twice": "The real pictures are judged twice, as real and as fake: the fake half needs G's pictures.",
        "fake_twice": "G's pictures are judged twice, as real and as fake: the real half needs `real`.",
        "rescaled": "The fake is moved to [0, 1]; D sees real and fake in the same range, [-1, 1].",
        "shuffled": "Real and fake don't get the same label map.",
        **{name: text for name, text in HINGE.items() if name in (
            "swapped", "same_sign", "sign", "unclipped", "no_margin", "half", "only_real", "only_fake", "minus",
            "scales_summed", "one_scale", "sum", "first_map", "all_maps")},
    },
    hints=(
        "Three calls and a hinge: G makes pictures, D judges the real ones and the fakes. Which of the calls must "
        "leave no trace for the gradient?",
        "fake = generator(segmap), detached (or made under torch.no_grad()); real and fake through D with the same "
        "segmap; then mean relu(1 - real) + mean relu(1 + fake), averaged over scales.",
        "fake = generator(segmap).detach()",
    ),
)  # fmt: skip


# --- 6.6 spectral norm ---


def spectral_norm_step(
    weight: Float[Tensor, "out fan_in kh kw"], u: Float[Tensor, " out"], eps: float
) -> tuple[Float[Tensor, "out fan_in kh kw"], Float[Tensor, " out"]]:
    """(weight / sigma, new u): one step of power iteration, v and u as constants, sigma = u^T W v."""
    matrix = weight.flatten(1)
    with torch.no_grad():
        v = F.normalize(matrix.T @ u, dim=0, eps=eps)
        u = F.normalize(matrix @ v, dim=0, eps=eps)
    sigma = u @ matrix @ v
    return weight / sigma, u


def _spectral_cases() -> list[Case]:
    def one(text: str, *shape: int, eps: float = 1e-12, scale: float = 1.0) -> Case:
        u = F.normalize(torch.randn(shape[0]), dim=0)
        return case(text, scale * torch.randn(shape), u, eps, gradient=("weight",))

    return [
        one("3 filters of 2x3x3", 3, 2, 3, 3),
        one("5 filters of 1x1", 5, 4, 1, 1),
        one("a square matrix", 4, 1, 2, 2),
        one("one filter", 1, 3, 3, 3),
        one("small weights", 3, 2, 2, 3, scale=0.01),
        one("large weights", 2, 3, 3, 2, scale=50.0),
        one("eps larger than the norms", 3, 2, 1, 1, eps=3.0, scale=0.5),
    ]


def _normalise(wrong: Wrong, x: Tensor, eps: float) -> Tensor:
    if "no_normalise" in wrong:
        return x
    if "eps_added" in wrong:
        return x / (x.norm() + eps)
    if "no_eps" in wrong:
        return x / x.norm()
    return F.normalize(x, dim=0, eps=eps)


def _sigma(wrong: Wrong, matrix: Tensor, u: Tensor, v: Tensor) -> Tensor:
    sigma = u @ matrix @ v
    if "exact" in wrong:
        sigma = torch.linalg.matrix_norm(matrix, 2)
    if "frobenius" in wrong:
        sigma = matrix.norm()
    if "sigma_detached" in wrong:
        sigma = sigma.detach()
    return sigma.square() if "squared" in wrong else sigma


def _spectral_mistaken(wrong: Wrong, weight: Tensor, u: Tensor, eps: float) -> tuple[Tensor, Tensor]:
    matrix, old = weight.flatten(1), u
    if "wrong_matrix" in wrong:
        matrix = weight.reshape(-1, len(weight)).T
    constant = matrix if {"attached", "attached_inside"} & wrong else matrix.detach()
    v = _normalise(wrong, constant.T @ u, eps)
    if "not_updated" not in wrong:
        u = _normalise(wrong, constant @ v, eps)
    for _ in range(9 * ("ten_steps" in wrong) + ("two_steps" in wrong)):
        v = _normalise(wrong, constant.T @ u, eps)
        u = _normalise(wrong, constant @ v, eps)
    sigma = _sigma(wrong, matrix, old if "sigma_old" in wrong else u, v)
    divided = weight * sigma if "multiplied" in wrong else weight / sigma
    if "old_u" in wrong:
        return divided, old
    return divided, u.detach() if "attached_inside" in wrong else u


_SPECTRAL = Exercise(
    stage="06",
    title="Spectral norm by power iteration",
    goal="divide a convolution's weight by its largest singular value, at the price of two products a step",
    minutes=20,
    difficulty=3,
    reference=spectral_norm_step,
    cases=_spectral_cases,
    mistaken=_spectral_mistaken,
    mistakes={
        "attached": "u and v carry a gradient; they count as constants (compute them under torch.no_grad()), and only "
        "sigma = u^T W v passes one to W.",
        "attached_inside": "The gradient of sigma also flows through v or the new u; detach them before sigma is "
        "computed, not only on return.",
        "sigma_old": "sigma is computed with the old u; it uses the new one, u'^T W v.",
        "two_steps": "You take two steps of power iteration; it is one a call.",
        "sigma_detached": "sigma is cut off from the gradient; it flows through sigma too, since W / sigma depends on "
        "W twice.",
        "exact": "You divide by the exact largest singular value; what is asked for is its estimate after one step, "
        "u^T W v.",
        "frobenius": "You divide by the root of the sum of squares (Frobenius norm); sigma is u^T W v.",
        "not_updated": "u isn't updated: after v comes u = normalise(W v), and sigma uses the new one.",
        "old_u": "sigma uses the new u, but the old one is returned; the next step has to start from the new one.",
        "ten_steps": "You take several steps of power iteration; it is one a call, since W changes little between "
        "calls.",
        "wrong_matrix": "The matrix has one row for each output channel: weight.flatten(1), without moving axes.",
        "no_normalise": "v and u aren't normalised.",
        "eps_added": "You divide by norm + eps; F.normalize divides by max(norm, eps).",
        "no_eps": "eps isn't used: divide by max(norm, eps), as F.normalize(..., eps=eps) does.",
        "squared": "You divide by sigma squared.",
        "multiplied": "You multiply by sigma; divide by it.",
    },
    hints=(
        "W is the weight as a matrix with a row for each output channel. Multiplying a vector by W^T and W in turn, "
        "and normalising, turns it towards the first singular vectors.",
        "Under torch.no_grad(): v = normalise(W^T u), then u = normalise(W v). Outside: sigma = u^T W v. normalise is "
        "F.normalize(..., dim=0, eps=eps). Return weight / sigma and the new u.",
        "v = F.normalize(matrix.T @ u, dim=0, eps=eps)",
    ),
)


# --- 6.8 the averaged generator ---


def update_average(averaged: nn.Module, network: nn.Module, decay: float) -> nn.Module:
    """averaged = decay averaged + (1 - decay) network, in place, for weights and floating buffers; others are copied.

    Returns averaged.
    """
    with torch.no_grad():
        for old, new in zip(averaged.state_dict().values(), network.state_dict().values()):
            old.copy_(decay * old + (1 - decay) * new if old.is_floating_point() else new)
    return averaged


def _network(seen: int, bias: bool = True) -> nn.Module:
    """A convolution and a batch norm that has seen a few batches."""
    network = nn.Sequential(nn.Conv2d(2, 3, 3, bias=bias), nn.BatchNorm2d(3))
    with torch.no_grad():
        for value in network.state_dict().values():
            value.copy_(torch.randn_like(value) if value.is_floating_point() else torch.tensor(seen))
    return network


def _average_cases() -> list[Case]:
    def one(text: str, decay: float, seen: tuple[int, int] = (4, 9), bias: bool = True) -> Case:
        return case(text, *(_network(s, bias) for s in seen), decay, gradient=False)

    return [
        one("decay 0.9", 0.9),
        one("decay 0.5", 0.5, (100, 7)),
        one("decay 0: a copy", 0.0),
        one("decay 1: nothing but the counter moves", 1.0),
        one("decay 0.25, without a bias", 0.25, (0, 3), False),
    ]


def _returned(output: object, averaged: nn.Module, network: nn.Module, decay: float) -> object:
    """The average, if that is what came back."""
    if output is not averaged and output is not ...:
        raise Complaint("Return `averaged`, the network itself, changed in place.")
    return output


def _counter(wrong: Wrong, old: Tensor, new: Tensor, decay: float) -> Tensor:
    mixed = (decay * old + (1 - decay) * new).to(old.dtype)
    return variant(wrong, new, counter_left=old, counter_mixed=mixed)


def _mixed(wrong: Wrong, old: Tensor, new: Tensor, decay: float) -> Tensor:
    mistaken = {"no_decay": old + (1 - decay) * new, "plain_mean": (old + new) / 2, "copied": new}
    return variant(wrong, decay * old + (1 - decay) * new, **mistaken)


def _average_mistaken(wrong: Wrong, averaged: nn.Module, network: nn.Module, decay: float) -> nn.Module:
    decay = variant(wrong, decay, reversed=1 - decay, fixed=0.999)
    buffers = {name for name, _ in averaged.named_buffers()}
    if "unchanged" in wrong:
        return averaged
    with torch.no_grad():
        for (name, old), new in zip(averaged.state_dict().items(), network.state_dict().values()):
            if name in buffers and "no_buffers" in wrong:
                continue
            if not old.is_floating_point():
                old.copy_(_counter(wrong, old, new, decay))
            elif name in buffers and "buffers_copied" in wrong:
                old.copy_(new)
            elif "only_weights" not in wrong or name.endswith("weight"):
                (new if "wrong_one" in wrong else old).copy_(_mixed(wrong, old, new, decay))
    return averaged


_AVERAGE = Exercise(
    stage="06",
    title="The averaged generator",
    goal="keep a slow copy of the generator, the one that pictures are drawn with",
    minutes=15,
    difficulty=2,
    reference=update_average,
    cases=_average_cases,
    mistaken=_average_mistaken,
    mistakes={
        "reversed": "decay is the wrong way round: it is the share of the old average that stays.",
        "no_buffers": "The buffers aren't averaged: batch norm's running statistics belong to the picture too. "
        "state_dict() holds weights and buffers.",
        "buffers_copied": "The running statistics are copied; they are averaged like the weights.",
        "counter_left": "num_batches_tracked, a whole number, is left as it was; copy it.",
        "counter_mixed": "num_batches_tracked is a whole number: averaging rounds it down, so copy it.",
        "only_weights": "Only tensors called weight are averaged; biases and running statistics belong to it too.",
        "plain_mean": "You take the plain mean of both; the old average keeps the share `decay`.",
        "copied": "The network is copied; only a share of 1 - decay of it comes in.",
        "no_decay": "The old average must shrink: decay * old + (1 - decay) * new, or it grows without end.",
        "fixed": "Your decay is always 0.999; take the argument.",
        "unchanged": "`averaged` is as before. (`p = ...` in a loop only gives the name p to a new tensor; change the "
        "tensor itself, as p.copy_(...) does.)",
        "wrong_one": "You change the trained network; it is the average that follows it.",
    },
    hints=(
        "A network's state_dict() holds its weights and buffers, by name, in the same order for both networks. Which "
        "of them are not floating numbers?",
        "Under torch.no_grad(), for each pair old, new: old.copy_(decay * old + (1 - decay) * new) if it is floating, "
        "else old.copy_(new). Return averaged.",
        "for old, new in zip(averaged.state_dict().values(), network.state_dict().values()):",
    ),
    observe=_returned,
)

EXERCISES = (_STEP, _SPECTRAL, _AVERAGE)
