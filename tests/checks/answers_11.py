"""Typical answers to the exercises of stage 11: wrong ones with what they are told, right ones in another style."""

import torch
from torch.nn import functional as F

from spade_edu.checks.faults import healthy_text
from spade_edu.checks.s11_find_the_bug import audit, repair

NEVER, ALWAYS, REVERSED = "no alarm for any file", "an alarm for every file", "the wrong way round"
NEIGHBOURS, WORDS = "each of the six faulty files", "Return a number"


def alone(code):
    """A picture by itself, and the same one among others."""
    x = torch.randn(3, 2, 8, 8) + torch.tensor([-1.0, 1.0])[:, None, None]
    norm = code.InstanceNorm2d(2)
    return (norm(x)[:1] - norm(x[:1])).abs().max()


def by_channel(code):
    """One channel alone, and among others."""
    x = torch.randn(3, 2, 8, 8) + torch.tensor([-1.0, 1.0])[:, None, None]
    norm = code.InstanceNorm2d(2)
    return float((norm(x)[:, :1] - norm(x[:, :1])).abs().max())


def of_batch_norm(code):
    return code.BatchNorm2d(3)(torch.randn(4, 3, 8, 8) + 1).mean((0, 2, 3)).abs().max().item()


def whole_mean(code):
    return code.InstanceNorm2d(3)(torch.randn(4, 3, 8, 8) + 1).mean().abs().item()


def step(code, look, name="discriminator_step"):
    generator = code.SPADEGenerator(2, (1, 1), ngf=1, hidden_channels=2)
    discriminator = code.MultiScaleDiscriminator(2, ndf=1)
    optimizers = code.make_optimizers(generator, discriminator)
    batch = {"segmap": torch.rand(1, 2, 32, 32), "image": torch.rand(1, 3, 32, 32)}
    getattr(code, name)(batch, generator, discriminator, optimizers[name.startswith("d")])
    return look(generator, discriminator)


def reached(network):
    return float(any(p.grad is not None for p in network.parameters()))


def spade(code, gain, look):
    layer = code.init_weights(code.SPADE(2, 3, 4), gain)
    return look(layer(torch.randn(2, 2, 8, 8), torch.rand(2, 3, 8, 8)))


def without_parameters(code):
    layer, x = code.SPADE(2, 3, 4), torch.randn(2, 2, 4, 4)
    for p in layer.parameters():
        torch.nn.init.zeros_(p)
    return (layer(x, torch.rand(2, 3, 4, 4)) - layer.norm(x)).abs().max().item()


def seen(code, look, map_size=16):
    layer, found = code.SPADE(1, 3, 2), []
    layer.shared.register_forward_pre_hook(lambda _, inputs: found.append(inputs[0]))
    segmap = F.one_hot(torch.randint(3, (1, map_size, map_size)), 3).movedim(-1, 1).float()
    layer(torch.randn(1, 1, 8, 8), segmap)
    return look(found[0])


def spectral(code, steps=200, scale=5.0, look=lambda sigma: abs(sigma - 1)):
    conv = code.SpectralConv2d(5, 5, 1, bias=False)
    with torch.no_grad():
        conv.weight.copy_(scale * torch.linalg.qr(torch.randn(5, 5)).Q[:, :, None, None])
        for _ in range(steps):
            conv(torch.zeros(1, 5, 1, 1))
        return float(look(torch.linalg.svdvals(conv(torch.eye(5)[:, :, None, None]).flatten(1))[0]))


def label_shift(code, look):
    label = torch.tensor([[[0, 1, 2, 3]]])
    return look(code.one_hot(label, 4), label)


def found(**changes):
    return lambda code: audit(code) | changes


def swapped(**pairs):
    return lambda letter: pairs.get(letter, repair(letter))


WRONG = [
    ("measure_a", whole_mean, NEVER),
    ("measure_a", of_batch_norm, NEVER),
    ("measure_a", alone, NEVER),
    ("measure_a", lambda code: code.InstanceNorm2d(2)(torch.rand(1, 2, 4, 4)).max(), ALWAYS),
    ("measure_a", lambda code: float(code.text != healthy_text()), NEIGHBOURS),
    ("measure_b", lambda code: step(code, lambda g, d: reached(d)), ALWAYS),
    ("measure_b", lambda code: step(code, lambda g, d: reached(g), "generator_step"), ALWAYS),
    ("measure_b", lambda code: 1 - step(code, lambda g, d: reached(g)), REVERSED),
    ("measure_b", lambda code: 0, NEVER),
    ("measure_c", lambda code: spade(code, 0.02, lambda y: y.std()), REVERSED),
    ("measure_c", lambda code: spade(code, 0.02, lambda y: y.mean().abs() / 100), NEVER),
    ("measure_c", lambda code: spade(code, 9.0, lambda y: abs(y.std() - 1)), ALWAYS),
    ("measure_c", lambda code: spade(code, 0.02, lambda y: y), WORDS),
    ("measure_d", lambda code: seen(code, lambda m: (m - m.round()).abs().max(), 8), NEVER),
    ("measure_d", lambda code: seen(code, lambda m: m.max()), ALWAYS),
    ("measure_d", lambda code: seen(code, lambda m: (m.sum(1) - 1).abs().max()), NEVER),
    ("measure_d", lambda code: seen(code, lambda m: m.shape), WORDS),
    ("measure_e", lambda code: spectral(code, scale=1.0), NEVER),
    ("measure_e", lambda code: spectral(code, look=lambda sigma: sigma), ALWAYS),
    ("measure_e", lambda code: code.SpectralConv2d(2, 2, 1).weight.norm(), ALWAYS),
    ("measure_e", lambda code: spectral(code, look=lambda sigma: sigma < 2), REVERSED),
    ("measure_f", lambda code: label_shift(code, lambda y, label: abs(y.sum().item() - 4)), NEVER),
    ("measure_f", lambda code: label_shift(code, lambda y, label: y.argmax(1).float().mean()), ALWAYS),
    ("measure_f", lambda code: label_shift(code, lambda y, label: (y.argmax(1) == label).float().mean()), REVERSED),
    ("measure_f", lambda code: label_shift(code, lambda y, label: y.argmax(1) - label), WORDS),
    ("repair", lambda letter: repair(letter)[::-1], "as it stands there, then"),
    ("repair", lambda letter: 2 * repair(letter)[:1], "Both texts are the same"),
    ("repair", swapped(c=("self.gamma(hidden)", "(1 - self.gamma(hidden))")), "something else that is wrong"),
    ("repair", swapped(f=("label.long() + 1", "label.long( + 1")), "can't be run"),
    ("repair", swapped(d=('"bilinear"', '"nearest"')), "more than once"),
    ("repair", swapped(d=('"bilinear")\n        h', '"area")\n        h')), "still does the same wrong thing"),
    ("repair", swapped(a="dim=(2, 3)"), "Return two texts"),
    ("audit", found(start=True), "a bias of 1 does the same"),
    ("audit", found(resize=True), "the very same pixels"),
    ("audit", found(variance=False), "Take few pixels"),
    ("audit", found(activation=False, evaluation=False), "nothing below 0"),
    ("audit", lambda code: dict(start=False, resize=False, activation=True, variance=True, evaluation=True), "measure"),
    ("audit", lambda code: {"start": False}, "Return a dictionary"),
]
RIGHT = [
    ("measure_a", by_channel),
    ("measure_b", lambda code: step(code, lambda g, d: reached(g))),
    ("measure_c", without_parameters),
    ("measure_d", lambda code: seen(code, lambda m: ((m != 0) & (m != 1)).float().mean())),
    ("measure_e", spectral),
    ("measure_f", lambda code: label_shift(code, lambda y, label: 1 - y.gather(1, label[:, None]).mean())),
    (
        "repair",
        swapped(
            b=(
                "fake, _, _ = generate(batch, generator, encoder)",
                "with torch.no_grad():\n        fake, _, _ = generate(batch, generator, encoder)",
            ),
            f=("label.long() + 1)\n    channels", "label.long())\n    channels"),
        ),
    ),
    ("repair", swapped(a=("(1, 2, 3)", "[2, 3]"))),
]
