"""Typical answers to the exercises of stage 08: wrong ones with what they are told, right ones in another style."""

import math

import torch
from torch import nn
from torch.nn import functional as F

from spade_edu.config import TrainingConfig
from spade_edu.generators.variants import concat


def joined(resize, join=lambda x, s: torch.cat((x, s), 1)):
    return lambda x, segmap: join(x, resize(segmap, x.shape[2:]))


def nearest(segmap, size):
    return F.interpolate(segmap, size)


def by_index(segmap, size):
    rows, columns = (torch.arange(new) * old // new for new, old in zip(size, segmap.shape[2:]))
    return segmap[:, :, rows][:, :, :, columns]


def counted(keep=lambda p: p.requires_grad, measure=torch.Tensor.numel):
    return lambda network: sum(measure(p) for p in network.parameters() if keep(p))


def scored(error):
    return lambda scores: (scores.mean(1), error(scores, scores.shape[1]))


def by_numpy(scores):
    values = scores.numpy()
    error = values.std(axis=1, ddof=1) / values.shape[1] ** 0.5
    return torch.from_numpy(values.mean(axis=1)), torch.from_numpy(error)


def glorot(formula):
    def answer(shape, gain):
        area = 1
        for side in shape[2:]:
            area *= side
        return formula(shape[1] * area, shape[0] * area, gain)

    return answer


def by_torch(shape, gain):
    """torch's own initialisation, whose spread is measured without drawing: the bound of the uniform one."""
    fan_in, fan_out = nn.init._calculate_fan_in_and_fan_out(torch.empty(shape))
    return gain * (2 / (fan_in + fan_out)) ** 0.5


def step_by_step(epoch, epochs, epochs_decay):
    factor = 1.0
    for now in range(1, epoch + 1):
        if now > epochs + 1:
            factor -= 1 / epochs_decay
    return factor


WRONG = [
    ("concat_input", lambda x, s: torch.cat([x, F.interpolate(s, scale_factor=x.shape[2] / s.shape[2])], 1), "stops"),
    ("count_parameters", lambda net: sum(t.numel() for t in net.state_dict().values()), "state_dict() also holds"),
    (
        "count_parameters",
        lambda net: sum(p.numel() for m in net.modules() for p in m.parameters() if p.requires_grad),
        "counted again for each network around it",
    ),
    (
        "count_parameters",
        lambda net: sum(p.numel() for m in net.children() for p in m.parameters() if p.requires_grad),
        "a single layer has none",
    ),
    ("mean_and_error", lambda s: (s.mean(1), s.std(1) / len(s) ** 0.5), "root of the number of systems"),
    ("mean_and_error", lambda s: (s.mean(1), s.std(1) / (s.shape[1] - 1) ** 0.5), "has its n - 1 already"),
    ("mean_and_error", lambda s: (s.mean(1), s.std(1) / s.numel() ** 0.5), "number of all scores"),
    (
        "mean_and_error",
        lambda s: (s.mean(1).tolist(), s.std(1).tolist()),
        "Result [0] is a list",
    ),
    ("glorot_std", lambda s, g: g * (2 / ((s[0] + s[1]) * (s[2] ** 2 if len(s) > 2 else 1))) ** 0.5, "height squared"),
    ("glorot_std", lambda s, g: g * (2 / ((s[0] + s[1]) * (s[3] ** 2 if len(s) > 2 else 1))) ** 0.5, "width squared"),
    ("glorot_std", lambda s, g: g * (2 / ((s[0] + s[1]) * (s[2] + s[3] if len(s) > 2 else 1))) ** 0.5, "are added"),
    ("glorot_std", lambda s, g: g * (2 / (s[1] + s[0] * math.prod(s[2:]))) ** 0.5, "not only fan_out"),
    ("glorot_std", lambda s, g: torch.nn.init.xavier_normal_(torch.empty(s), g).std().item(), "a random draw"),
    ("concat_input", joined(lambda s, size: F.interpolate(s, size, mode="bilinear")), "bilinear"),
    ("concat_input", joined(nearest, lambda x, s: torch.cat((s, x), 1)), "features first"),
    ("concat_input", joined(F.adaptive_avg_pool2d), "averaged"),
    ("concat_input", lambda x, s: torch.cat([F.interpolate(x, s.shape[2:]), s], 1), "x is resized"),
    ("concat_input", joined(nearest, lambda x, s: torch.cat((x, s), 0)), ""),
    ("concat_input", lambda x, s: torch.cat([x, s], 1), ""),
    ("count_parameters", counted(lambda p: True), "Frozen parameters"),
    ("count_parameters", counted(measure=lambda p: 1), "count the tensors"),
    ("count_parameters", counted(lambda p: p.requires_grad and p.dim() > 1), "one axis"),
    ("count_parameters", lambda n: sum(v.numel() for v in n.state_dict().values()), ""),
    ("count_parameters", counted(measure=lambda p: p.numel() * p.element_size()), "bytes"),
    ("mean_and_error", scored(lambda s, n: s.std(1)), "spread of one run"),
    ("mean_and_error", scored(lambda s, n: s.std(1) / n), "divide by its root"),
    ("mean_and_error", scored(lambda s, n: s.std(1, correction=0) / n**0.5), "n - 1"),
    ("mean_and_error", scored(lambda s, n: 1.96 * s.std(1) / n**0.5), "95 %"),
    ("mean_and_error", lambda s: (s.mean(0), s.std(0) / len(s) ** 0.5), "over the systems"),
    ("mean_and_error", scored(lambda s, n: s.var(1) / n), "root is missing"),
    ("glorot_std", lambda shape, gain: gain * math.sqrt(2 / (shape[0] + shape[1])), "area of the kernel"),
    ("glorot_std", glorot(lambda i, o, gain: gain * math.sqrt(6 / (i + o))), "uniform"),
    ("glorot_std", glorot(lambda i, o, gain: gain * math.sqrt(1 / i)), "Only fan_in"),
    ("glorot_std", glorot(lambda i, o, gain: gain * 2 / (i + o)), "variance"),
    ("glorot_std", glorot(lambda i, o, gain: math.sqrt(2 / (i + o))), "gain isn't used"),
    ("lr_factor", lambda e, n, d: 1 - max(0, e - n) / max(1, d), "one epoch too early"),
    ("lr_factor", lambda e, n, d: 1 - max(0, e - 1 - n) / (d + 1), "epochs_decay + 1"),
    ("lr_factor", lambda e, n, d: 1 - (e - 1 - n) / max(1, d), "more than 1"),
    ("lr_factor", lambda e, n, d: 1 - max(0, e - 1 - n) / d, "division by zero"),
    ("lr_factor", lambda e, n, d: 1.0 if e <= n + 1 else 0.99 ** (e - 1 - n), "exponential"),
    ("lr_factor", lambda e, n, d: 1 - e / (n + d), "expected"),
]
RIGHT = [
    ("concat_input", concat),
    ("concat_input", joined(by_index)),
    ("count_parameters", lambda n: sum(math.prod(p.shape) for p in filter(lambda p: p.requires_grad, n.parameters()))),
    ("mean_and_error", by_numpy),
    ("mean_and_error", scored(lambda s, n: (s.var(1) / n).sqrt())),
    ("glorot_std", by_torch),
    ("lr_factor", step_by_step),
    ("lr_factor", lambda e, n, d: TrainingConfig(epochs=n, epochs_decay=d).lr_factor(e)),
]
