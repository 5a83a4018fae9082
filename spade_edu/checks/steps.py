"""The parts of my_spade.py that train: pictures, verdicts, the two Adams, a step of each network, and the loop.

A `Step` is an exercise whose answer is called with the things of a `Studio`: two small networks, an optimizer each, a
batch, and where the case has them a style encoder and a network that features are taken from. What is compared: losses,
how far every weight moved, and what gradients are left where there should be none.
"""

from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from functools import partial
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from .. import losses
from .calling import Complaint
from .exercise import Case, Exercise, Wrong, case, variant
from .s05_spade_generator import label_maps
from .s06_gan_losses import Eyes, Scales

RATE = 0.1  # of plain gradient descent, which shows a forgotten factor; Adam would hide it
MAPS = 3  # that the critic gives for a scale
LOSSES = ("GAN", "GAN_Feat", "VGG", "KLD", "D")
Batch = dict[str, Tensor]


class Painter(nn.Module):
    """G(segmap, z) -> picture."""

    def __init__(self, label_channels: int):
        super().__init__()
        self.conv, self.norm, self.style = (
            nn.Conv2d(label_channels, 3, 3, padding=1),
            nn.BatchNorm2d(3),
            nn.Linear(2, 3),
        )

    def forward(self, segmap: Tensor, z: Tensor | None = None) -> Tensor:
        """A picture in [-1, 1]."""
        x = self.norm(self.conv(segmap))
        return torch.tanh(x if z is None else x + self.style(z)[:, :, None, None])


class Critic(nn.Module):
    """D(segmap, image) -> two scales of [features, features, verdict]; its norm sees the whole batch."""

    def __init__(self, label_channels: int):
        super().__init__()
        self.hidden = nn.ModuleList(nn.Conv2d(label_channels + 3, 3, 3) for _ in range(2))
        self.last = nn.ModuleList(nn.Conv2d(3, 1, 1) for _ in range(2))

    def forward(self, segmap: Tensor, image: Tensor) -> Scales:
        """The second scale sees every second pixel."""
        x, result = torch.cat([segmap, image], dim=1), []
        for hidden, last in zip(self.hidden, self.last):
            first = F.leaky_relu(hidden(x), 0.2)
            second = F.batch_norm(first, None, None, training=True)
            result.append([first, second, 2 * last(second)])
            x = x[:, :, ::2, ::2]
        return result


class Stylist(nn.Module):
    """E(image) -> mu, logvar."""

    def __init__(self) -> None:
        super().__init__()
        self.to_mu, self.to_logvar = nn.Linear(3, 2), nn.Linear(3, 2)

    def forward(self, image: Tensor) -> tuple[Tensor, Tensor]:
        """From the picture's mean colour."""
        colour = image.mean((2, 3))
        return self.to_mu(colour), self.to_logvar(colour)


class Studio(nn.Module):
    """All that a step is called with."""

    def __init__(self, n: int, classes: int, h: int, w: int, style: bool = False, eyes: bool = False, batches: int = 1):
        super().__init__()
        self.generator, self.discriminator = Painter(classes), Critic(classes)
        self.encoder = Stylist() if style else None
        self.features = Eyes() if eyes else None
        self.weights = (0.5, 1.0, 0.2) if eyes else ()
        painters = [*self.generator.parameters(), *(self.encoder.parameters() if self.encoder else [])]
        self.optimizer_g = torch.optim.SGD(painters, lr=RATE)
        self.optimizer_d = torch.optim.SGD(self.discriminator.parameters(), lr=RATE)
        self.batches = [
            {"segmap": label_maps(n, classes, h, w), "image": torch.rand(n, 3, h, w) * 2 - 1} for _ in range(batches)
        ]
        self.fake = nn.Parameter(torch.rand(n, 3, h, w) * 2 - 1)

    @property
    def batch(self) -> Batch:
        """The first one."""
        return self.batches[0]

    def rest(self) -> tuple:
        """The arguments that a step may be called without."""
        if self.features is not None:
            return self.encoder, self.features, self.weights
        return () if self.encoder is None else (self.encoder,)

    def moves(self, before: dict[str, Tensor]) -> dict[str, Tensor]:
        """How far each weight went, in units of the rate; afterwards no gradients are left."""
        self.zero_grad()
        after = dict(self.named_parameters())
        return {
            f"the move of {name}": (before[name] - p.detach()) / RATE for name, p in after.items() if name != "fake"
        }

    def used(self, *names: str) -> None:
        """Leave old gradients in these networks, as in the middle of a training."""
        for network in filter(None, (getattr(self, name) for name in names)):
            for p in network.parameters():
                p.grad = torch.full_like(p, 0.3)

    def now(self) -> dict[str, Tensor]:
        """A copy of all weights."""
        return {name: p.detach().clone() for name, p in self.named_parameters()}


@dataclass(frozen=True)
class Step(Exercise):
    """An exercise whose answer is called with the things of a studio; make it with `step`.

    builder: builder(wrong) gives the function, with the mistakes in the set `wrong`.
    work: work(answer, studio, ...) calls an answer and says what came of it.
    """

    contract: str = ""
    builder: Callable[[Wrong], Callable] = field(default=lambda wrong: print)
    work: Callable[..., object] = field(default=lambda answer, studio: None)

    @property
    def signature(self) -> str:
        """How the function is called."""
        return self.contract

    def readings(self, answer: Callable) -> list[Callable]:
        """The answer at work in a studio."""
        return [partial(self.work, answer)]


def step(
    builder: Callable[[Wrong], Callable], work: Callable[..., object], cases: Callable[[], list[Case]], **facts: Any
) -> Step:
    """A Step called by the first word of its contract."""

    def reference(studio: Studio) -> object:
        return work(builder(frozenset()), studio)

    def mistaken(wrong: Wrong, studio: Studio) -> object:
        return work(builder(wrong), studio)

    reference.__name__ = facts["contract"].partition("(")[0]
    return Step(reference=reference, mistaken=mistaken, cases=cases, builder=builder, work=work, **facts)


def _studios(gradient: bool | tuple[str, ...] = False, eyes: bool = True, batches: int = 1) -> list[Case]:
    """Without a style encoder and with one; where it is asked for, with features."""
    found = [
        case("2 pictures", Studio(2, 3, 7, 9, batches=batches), gradient=gradient),
        case("1 picture", Studio(1, 2, 8, 6, batches=batches), gradient=gradient),
        case("2 pictures and a style encoder", Studio(2, 3, 8, 8, style=True, batches=batches), gradient=gradient),
    ]
    if eyes:
        both = Studio(2, 2, 9, 8, style=True, eyes=True, batches=batches)
        found.append(case("3 pictures and features", Studio(3, 2, 8, 9, eyes=True, batches=batches), gradient=gradient))
        found.append(case("a style encoder and features", both, gradient=gradient))
    return found


# --- pictures and verdicts ---


def painted(wrong: Wrong) -> Callable:
    """generate, with mistakes."""

    def generate(batch: Batch, generator: nn.Module, encoder: nn.Module | None = None) -> tuple:
        if encoder is None:
            return generator(batch["segmap"]), None, None
        mu, logvar = encoder(batch["image"])
        deviation = variant(wrong, torch.exp(0.5 * logvar), variance=torch.exp(logvar), logvar=logvar)
        z = mu + deviation * torch.randn_like(mu)
        z = variant(wrong, z, no_draw=mu, no_mean=z - mu, detached=z.detach())
        fake = generator(batch["segmap"]) if "no_style" in wrong else generator(batch["segmap"], z)
        return variant(wrong, (fake, mu, logvar), exchanged=(fake, logvar, mu), z_returned=(fake, z, logvar))

    return generate


def _painting(answer: Callable, studio: Studio) -> object:
    result = answer(studio.batch, studio.generator, *studio.rest())
    studio.zero_grad()
    if isinstance(result, Tensor):
        raise Complaint("Return three things: the pictures, mu and logvar (None and None without an encoder).")
    return result


GENERATE = step(
    painted,
    _painting,
    lambda: _studios(("studio",), eyes=False),
    contract="generate(batch, generator, encoder=None) -> (fake, mu, logvar)",
    stage="06",
    title="A picture for each label map",
    goal="call the generator, in the style of the real picture where there is an encoder",
    minutes=5,
    difficulty=1,
    mistakes={
        "no_style": 'With an encoder the generator gets a style code: generator(batch["segmap"], z).',
        "no_draw": "The style code is mu itself; in training it is drawn: reparameterise(mu, logvar).",
        "no_mean": "mu isn't in the style code: reparameterise(mu, logvar).",
        "variance": "The draw is scaled by the variance; reparameterise takes mu and logvar.",
        "logvar": "The draw is scaled by logvar; reparameterise takes mu and logvar.",
        "detached": "The style code is cut off from the gradient, so the encoder never learns.",
        "exchanged": "The order is fake, mu, logvar.",
        "z_returned": "The second result is mu, not the drawn code: the KL term needs mu.",
    },
    hints=(
        "Without an encoder it is one call. With one, the picture's style comes first.",
        'mu, logvar = encoder(batch["image"]); the code is reparameterise(mu, logvar). Return (fake, None, None) or '
        "(fake, mu, logvar).",
        'return generator(batch["segmap"], reparameterise(mu, logvar)), mu, logvar',
    ),
)


def judged(wrong: Wrong) -> Callable:
    """judge, with mistakes."""

    def judge(discriminator: nn.Module, segmap: Tensor, fake: Tensor, real: Tensor) -> tuple:
        if "separately" in wrong:
            return discriminator(segmap, fake), discriminator(segmap, real)
        if "detached" in wrong:
            fake = fake.detach()
        pictures = variant(wrong, (fake, real), fake_twice=(fake, fake), real_twice=(real, real))
        maps = torch.cat([segmap, segmap.flip(-1) if "other_map" in wrong else segmap])
        both = discriminator(maps, torch.cat(pictures))
        n = len(segmap)
        first, second = [[f[:n] for f in scale] for scale in both], [[f[n:] for f in scale] for scale in both]
        return (second, first) if "exchanged" in wrong else (first, second)

    return judge


def _judging(answer: Callable, studio: Studio) -> object:
    batch = studio.batch
    # 1 * fake: the parameter itself stays out of the answer's hands
    result = answer(studio.discriminator, batch["segmap"], 1 * studio.fake, batch["image"])
    studio.zero_grad()
    if isinstance(result, list | tuple) and any(len(scale) < MAPS for side in result for scale in side):
        raise Complaint(
            f"Each scale has all {MAPS} feature maps of D, not the verdict alone: feature matching needs them."
        )
    return result


JUDGE = step(
    judged,
    _judging,
    lambda: _studios(("studio",), eyes=False)[:2] + [case("3 pictures", Studio(3, 4, 6, 6), gradient=("studio",))],
    contract="judge(discriminator, segmap, fake, real) -> (on_fake, on_real)",
    stage="06",
    title="Fake and real in one batch",
    goal="let nothing but the pictures tell fakes and real ones apart",
    minutes=10,
    difficulty=2,
    mistakes={
        "separately": "Fakes and real pictures go through D in two calls, so a norm over the batch, or a step of power "
        "iteration, tells them apart. Join them: torch.cat([fake, real]).",
        "exchanged": "The order is on_fake, on_real: the fakes are the first half of the batch.",
        "detached": "The fakes are cut off from the gradient; the generator learns through it.",
        "fake_twice": "The fakes are judged twice; the second half is the real pictures.",
        "real_twice": "The real pictures are judged twice; the first half is the fakes.",
        "other_map": "Fakes and real pictures don't get the same label maps.",
    },
    hints=(
        "D takes a batch: put the fakes and the real ones into one, with the label maps twice.",
        "torch.cat of [segmap, segmap] and of [fake, real]; then each feature map of each scale is cut in two: "
        "feature.chunk(2).",
        "both = discriminator(torch.cat([segmap, segmap]), torch.cat([fake, real]))",
    ),
)


# --- optimizers ---


def made_optimizers(wrong: Wrong) -> Callable:
    """make_optimizers, with mistakes."""

    def make_optimizers(
        generator: nn.Module, discriminator: nn.Module, encoder: nn.Module | None = None, lr: float = 2e-4
    ) -> tuple:
        painters, critics = [*generator.parameters()], [*discriminator.parameters()]
        if encoder is not None and "no_encoder" not in wrong:
            (critics if "encoder_with_d" in wrong else painters).extend(encoder.parameters())
        if "d_with_g" in wrong:
            painters += critics
        betas = variant(wrong, (0.0, 0.9), default_betas=(0.9, 0.999), half=(0.5, 0.999), beta2=(0.0, 0.999))
        rates = variant(wrong, (lr / 2, lr * 2), equal=(lr, lr), exchanged=(lr * 2, lr / 2), d_only=(lr, lr * 2),
                        fixed=(1e-4, 4e-4))  # fmt: skip
        kind: Any = torch.optim.SGD if "sgd" in wrong else torch.optim.Adam
        extra = {} if "sgd" in wrong else {"betas": betas}
        found = kind(painters, rates[0], **extra), kind(critics, rates[1], **extra)
        return found[::-1] if "order" in wrong else found

    return make_optimizers


def _equipping(answer: Callable, studio: Studio) -> object:
    """What each optimizer moves, how fast, and with which betas."""
    networks = studio.generator, studio.discriminator
    calls = {"": (*networks, *studio.rest()), " at lr=1e-3": (*networks, studio.encoder, 1e-3)}
    result: dict[str, object] = {}
    for words, arguments in calls.items():
        pair = answer(*arguments)
        if pair is None or pair is ...:
            return None
        if not isinstance(pair, list | tuple) or not all(isinstance(o, torch.optim.Optimizer) for o in pair):
            raise Complaint("Return two optimizers, (of G, of D).")
        for name, optimizer in zip(("G's optimizer", "D's optimizer"), pair):
            result |= {f"{name}{words}: {key}": value for key, value in _described(optimizer, studio).items()}
    return result


def _described(optimizer: torch.optim.Optimizer, studio: Studio) -> dict[str, object]:
    """Its kind, and for each network how many of its weights it holds, at which rates and betas."""
    found: dict[str, object] = {"kind": type(optimizer).__name__}
    for name in ("generator", "discriminator", "encoder"):
        own = {id(p) for p in (getattr(studio, name) or nn.Identity()).parameters()}
        held = [(group, p) for group in optimizer.param_groups for p in group["params"] if id(p) in own]
        found[f"weights of the {name}"] = len(held)
        found[f"rates for the {name}"] = ", ".join(sorted({f"{g['lr']:g}" for g, _ in held}))
        found[f"betas for the {name}"] = ", ".join(sorted({str(g.get("betas")) for g, _ in held}))
    return found


MAKE_OPTIMIZERS = step(
    made_optimizers,
    _equipping,
    lambda: [case("G and D", Studio(1, 2, 6, 6), gradient=False),
             case("G, D and an encoder", Studio(1, 2, 6, 6, style=True), gradient=False)],
    contract="make_optimizers(generator, discriminator, encoder=None, lr=2e-4) -> (optimizer_g, optimizer_d)",
    stage="06",
    title="Two Adams",
    goal="give each network its optimizer and its rate",
    minutes=10,
    difficulty=1,
    mistakes={
        "equal": "Both have the same rate; G has lr / 2 and D lr * 2 (two time scales).",
        "exchanged": "The rates are exchanged: D is the fast one, lr * 2.",
        "d_only": "G's rate is lr; it is lr / 2.",
        "fixed": "The rates are fixed; they follow the argument lr.",
        "default_betas": "The betas are Adam's own, (0.9, 0.999); they are (0, 0.9).",
        "half": "The betas are (0.5, 0.999), as in pix2pix; with two time scales they are (0, 0.9).",
        "beta2": "beta2 is 0.999; it is 0.9.",
        "no_encoder": "Nobody moves the encoder: its weights belong to G's optimizer.",
        "encoder_with_d": "The encoder's weights belong to G's optimizer, not to D's.",
        "d_with_g": "G's optimizer moves D too: D would learn to let fakes pass.",
        "sgd": "It isn't Adam.",
        "order": "The order is G's optimizer, then D's.",
    },
    hints=(
        "Two of torch.optim.Adam. Whose weights does each move?",
        "G's gets the weights of G and, where there is one, of the encoder, at lr / 2; D's those of D, at lr * 2; "
        "betas (0, 0.9) in both.",
        "torch.optim.Adam(discriminator.parameters(), lr * 2, betas=(0.0, 0.9))",
    ),
)  # fmt: skip


# --- a step of each network ---


def stepped_g(wrong: Wrong) -> Callable:
    """generator_step, with mistakes."""

    def generator_step(
        batch: Batch, generator: nn.Module, discriminator: nn.Module, optimizer: torch.optim.Optimizer,
        encoder: nn.Module | None = None, features: nn.Module | None = None, weights: tuple = (),
    ) -> dict[str, Tensor]:  # fmt: skip
        fake, mu, logvar = painted(wrong & {"no_style"})(batch, generator, encoder)
        if "d_collects" not in wrong:
            discriminator.requires_grad_(False)
        on_fake, on_real = judged(wrong & {"separately"})(discriminator, batch["segmap"], fake, batch["image"])
        gan = variant(
            wrong,
            losses.hinge_generator(on_fake),
            on_real=losses.hinge_generator(on_real),
            sign=-losses.hinge_generator(on_fake),
            of_d=losses.hinge_discriminator(on_real, on_fake),
        )
        found = {"GAN": gan, "GAN_Feat": losses.feature_matching(on_fake, on_real)}
        found["GAN_Feat"] = found["GAN_Feat"] * variant(wrong, 10, one_fm=1)
        if features is not None and "no_vgg" not in wrong:
            found["VGG"] = variant(wrong, 10, one_vgg=1) * losses.perceptual(features, weights, fake, batch["image"])
        if mu is not None and "no_kl" not in wrong:
            found["KLD"] = variant(wrong, 0.05, one_kl=1) * losses.kl_divergence(mu, logvar)
        counted = [loss for name, loss in found.items() if not (name == "KLD" and "kl_aside" in wrong)]
        if "no_fm" in wrong:
            del found["GAN_Feat"]
            counted = list(found.values())
        _updated(wrong, optimizer, torch.stack(counted).sum())
        if "d_frozen" not in wrong:
            discriminator.requires_grad_(True)
        return found if "attached" in wrong else {name: loss.detach() for name, loss in found.items()}

    return generator_step


def _updated(wrong: Wrong, optimizer: torch.optim.Optimizer, loss: Tensor) -> None:
    """zero_grad, backward, step."""
    if "no_zero" not in wrong:
        optimizer.zero_grad()
    loss.backward()
    if "no_step" not in wrong:
        optimizer.step()


def stepped_d(wrong: Wrong) -> Callable:
    """discriminator_step, with mistakes."""

    def discriminator_step(
        batch: Batch, generator: nn.Module, discriminator: nn.Module, optimizer: torch.optim.Optimizer,
        encoder: nn.Module | None = None,
    ) -> dict[str, Tensor]:  # fmt: skip
        fake, _, _ = painted(wrong & {"no_style"})(batch, generator, encoder)
        if "attached" not in wrong:
            fake = fake.detach()
        on_fake, on_real = judged(wrong & {"separately"})(discriminator, batch["segmap"], fake, batch["image"])
        nothing = [[0 * feature.detach() - 9 for feature in scale] for scale in on_fake]
        loss = variant(
            wrong,
            losses.hinge_discriminator(on_real, on_fake),
            swapped=losses.hinge_discriminator(on_fake, on_real),
            of_g=losses.hinge_generator(on_fake),
            only_real=losses.hinge_discriminator(on_real, nothing),
            minus=-losses.hinge_discriminator(on_real, on_fake),
            half=losses.hinge_discriminator(on_real, on_fake) / 2,
        )
        _updated(wrong, optimizer, loss)
        return {"D": loss if "loss_attached" in wrong else loss.detach()}

    return discriminator_step


def _stepping(answer: Callable, studio: Studio, own: str, other: str, rest: tuple) -> object:
    """The losses, the moves, and what is left in the network whose turn it isn't."""
    studio.used(own, *(["encoder"] if own == "generator" else []))
    before, optimizer = studio.now(), studio.optimizer_g if own == "generator" else studio.optimizer_d
    found = answer(studio.batch, studio.generator, studio.discriminator, optimizer, *rest)
    if found is None or found is ...:
        return found
    if not isinstance(found, dict) or not all(isinstance(loss, Tensor) for loss in found.values()):
        studio.zero_grad()  # steps may leave gradients
        raise Complaint("Return the losses in a dictionary, each as a tensor under its name.")
    others = list(getattr(studio, other).parameters())
    left = float(sum(p.grad.abs().sum() for p in others if p.grad is not None))
    return {
        **_reported({name: loss.detach() for name, loss in found.items()}),
        "the losses carry their graph": any(loss.requires_grad for loss in found.values()),
        f"gradients left in the {other}": left,
        f"requires_grad of the {other}": all(p.requires_grad for p in others),
        **studio.moves(before),
    }


def _reported(found: dict) -> dict[str, object]:
    """The losses; nan for one that isn't there, so that the same things are compared for every answer."""
    values = {f"loss {name}": found.get(name, torch.tensor(torch.nan)) for name in LOSSES}
    return {"names of the losses": ", ".join(sorted(map(str, found))), **values}


def _stepping_g(answer: Callable, studio: Studio) -> object:
    return _stepping(answer, studio, "generator", "discriminator", studio.rest())


def _stepping_d(answer: Callable, studio: Studio) -> object:
    return _stepping(answer, studio, "discriminator", "generator", studio.rest()[:1])


COMMON = {
    "no_zero": "Old gradients aren't cleared: optimizer.zero_grad() before backward().",
    "no_step": "Nothing moves: the optimizer makes no step, or the gradients are cleared after backward().",
    "separately": "Fakes and real pictures go through D in two calls; judge puts them into one batch.",
    "no_style": "The encoder isn't used: generate(batch, generator, encoder) paints in the real picture's style.",
}
GENERATOR_STEP = step(
    stepped_g,
    _stepping_g,
    _studios,
    contract="generator_step(batch, generator, discriminator, optimizer, encoder=None, features=None, weights=()) -> "
    "losses",
    stage="06",
    title="A step of the generator",
    goal="move G (and the encoder) once, against a discriminator that stands still",
    minutes=30,
    difficulty=3,
    mistakes={
        **COMMON,
        "d_collects": "D's weights collect gradients in G's step: discriminator.requires_grad_(False) before D is "
        "called, True again after the step.",
        "d_frozen": "D is left frozen and will never learn: discriminator.requires_grad_(True) after the step.",
        "on_real": "The GAN loss is taken of the real pictures' verdict; it is hinge_generator(on_fake).",
        "sign": "The GAN loss has the wrong sign: G wants a high verdict, so it is hinge_generator(on_fake) as it is.",
        "of_d": "The GAN loss is the discriminator's; here it is hinge_generator(on_fake).",
        "no_fm": "Feature matching is missing: 10 * feature_matching(on_fake, on_real).",
        "one_fm": "The weight of feature matching is 10.",
        "no_vgg": "The perceptual loss is missing: where there are features, 10 * perceptual(...) under the name VGG.",
        "one_vgg": "The weight of the perceptual loss is 10.",
        "no_kl": "The style's KL is forgotten: with an encoder, 0.05 * kl_divergence(mu, logvar) under the name KLD.",
        "one_kl": "The weight of the KL is 0.05.",
        "kl_aside": "The style's KL is computed, but isn't in the sum that backward() is called on.",
        "attached": "The losses are returned with their graph, which keeps all of it in memory: detach() them.",
    },
    hints=(
        "Paint, freeze D, judge, add up the losses; then zero_grad, backward, step; then thaw D.",
        "losses is a dictionary: GAN = hinge_generator(on_fake), GAN_Feat = 10 feature_matching, VGG = 10 perceptual "
        "(where there are features), KLD = 0.05 kl_divergence (where there is an encoder). backward() on their sum; "
        "return them detached.",
        "optimizer.zero_grad(); sum(losses.values()).backward(); optimizer.step()",
    ),
)
DISCRIMINATOR_STEP = step(
    stepped_d,
    _stepping_d,
    partial(_studios, eyes=False),
    contract="discriminator_step(batch, generator, discriminator, optimizer, encoder=None) -> losses",
    stage="06",
    title="A step of the discriminator",
    goal="move D once, and leave G as it is",
    minutes=15,
    difficulty=2,
    mistakes={
        **COMMON,
        "attached": "The detach is forgotten: the loss sends gradients into G. Paint under torch.no_grad().",
        "swapped": "Real and fake are exchanged: hinge_discriminator(on_real, on_fake).",
        "of_g": "That is the generator's loss; here it is hinge_discriminator(on_real, on_fake).",
        "only_real": "D learns from the real pictures only; the fakes count as well.",
        "minus": "The loss has the wrong sign: D makes the hinge loss small.",
        "half": "The loss is half of what it should be; the two halves of the hinge are added.",
        "loss_attached": "The loss is returned with its graph, which keeps all of it in memory: detach() it.",
    },
    hints=(
        "Paint (G isn't to learn from this), judge, one loss; then the three calls.",
        "with torch.no_grad(): fake, _, _ = generate(...). Then judge, hinge_discriminator(on_real, on_fake), "
        'zero_grad, backward, step. Return {"D": loss.detach()}.',
        "with torch.no_grad(): fake, _, _ = generate(batch, generator, encoder)",
    ),
)


# --- the loop ---


def looped(wrong: Wrong) -> Callable:
    """train, with mistakes."""

    def train(
        batches: list[Batch], generator: nn.Module, discriminator: nn.Module, optimizers: tuple,
        encoder: nn.Module | None = None, features: nn.Module | None = None, weights: tuple = (),
    ) -> Iterator[dict]:  # fmt: skip
        optimizer_g, optimizer_d = optimizers[::-1] if "exchanged" in wrong else optimizers
        first = stepped_g(frozenset()), stepped_d(frozenset())
        for batch in batches[:1] if "one_batch" in wrong else batches:
            if "no_mode" not in wrong:
                generator.train()
            found: dict[str, Tensor] = {}
            if "d_first" in wrong:
                found |= first[1](batch, generator, discriminator, optimizer_d, encoder)
            if "no_g" not in wrong:
                rest = () if "no_features" in wrong else (features, weights)
                style = None if "no_encoder" in wrong else encoder
                found |= first[0](batch, generator, discriminator, optimizer_g, style, *rest)
            if not {"d_first", "no_d"} & wrong:
                found |= first[1](batch, generator, discriminator, optimizer_d, encoder)
            yield {name: loss.item() for name, loss in found.items()}

    return train


def _training(answer: Callable, studio: Studio) -> object:
    studio.used("generator", "discriminator", "encoder")
    before = studio.now()
    studio.generator.eval()  # as a sample in between leaves it
    optimizers = studio.optimizer_g, studio.optimizer_d
    found = answer(studio.batches, studio.generator, studio.discriminator, optimizers, *studio.rest())
    if found is None or found is ...:
        return found
    if isinstance(found, list | tuple | dict):
        studio.zero_grad()  # steps may leave gradients
        raise Complaint(
            "It returns all losses at the end; yield those of each batch, so that a training can be watched."
        )
    history = list(found)
    if any(isinstance(loss, Tensor) for entry in history for loss in entry.values()):
        studio.zero_grad()
        raise Complaint("The losses are tensors; yield numbers: loss.item().")
    shown = {f"batch {i}": _reported(entry) for i, entry in enumerate(history, start=1)}
    return {"number of batches": len(history), **shown, **studio.moves(before)}


TRAIN = step(
    looped,
    _training,
    partial(_studios, batches=2),
    contract="train(batches, generator, discriminator, optimizers, encoder=None, features=None, weights=()) -> losses "
    "of each batch",
    stage="06",
    title="The loop",
    goal="put the two steps in turn, and tell how it goes",
    minutes=10,
    difficulty=2,
    mistakes={
        "exchanged": "Each step got the other network's optimizer: optimizers are (of G, of D).",
        "d_first": "The discriminator steps first; here the generator does.",
        "no_g": "The generator's step is missing.",
        "no_d": "The discriminator's step is missing.",
        "no_mode": "The generator may come in eval mode (somebody looked at a sample): generator.train() before its "
        "step.",
        "no_encoder": "The encoder isn't handed on to generator_step.",
        "no_features": "features and weights aren't handed on to generator_step.",
        "one_batch": "It stops after the first batch.",
    },
    hints=(
        "For every batch a step of G, then one of D, then the losses of both. What turns a function into one that "
        "gives values as they come?",
        "generator.train(); losses = generator_step(...); losses |= discriminator_step(...); then yield a dictionary "
        "of numbers.",
        "yield {name: loss.item() for name, loss in losses.items()}",
    ),
)

PARTS = (MAKE_OPTIMIZERS, GENERATE, JUDGE, GENERATOR_STEP, DISCRIMINATOR_STEP, TRAIN)
