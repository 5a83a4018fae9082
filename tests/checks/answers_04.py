"""Answers to the exercises of stage 04 as students write them: right ones in other styles, and typical wrong ones."""

from itertools import combinations

import torch
from torch.nn import functional as F

from spade_edu.evaluation import uniform


def eye_maps(ids, channels, h, w):
    return torch.eye(channels)[torch.tensor(ids)][:, :, None, None].repeat(1, 1, h, w)


def convolved(class_id, weight, bias):
    side = 2 * weight.shape[-1]
    segmap = F.one_hot(torch.tensor(class_id), weight.shape[1]).float()[None, :, None, None].expand(-1, -1, side, side)
    return F.conv2d(segmap, weight, bias)[0, :, 0, 0]


def reflected(segmap, weight, bias, eps, mode="reflect", norm=F.instance_norm, act=lambda y: y):
    return act(norm(F.conv2d(F.pad(segmap, (1,) * 4, mode=mode), weight, bias), eps=eps))


def batch(y, eps):
    return F.batch_norm(y, None, None, training=True, eps=eps)


def middle(class_id, shared, gamma, beta, act=F.relu, at=3, size=7):
    segmap = eye_maps([class_id], shared.shape[1], size, size)
    hidden = act(F.conv2d(segmap, shared, padding=1))
    return tuple(F.conv2d(hidden, v, padding=1)[0, :, at, at] for v in (gamma, beta))


def colours(images, scale=127.5, pairs=None, distance=lambda d: d.abs().mean(-1)):
    c = (images.mean((2, 3)) + 1) * scale
    i, j = torch.tensor(pairs(len(c)) if pairs else list(combinations(range(len(c)), 2))).T
    return distance(c[i] - c[j]).mean()


def gain(d, eps, n):
    return d if n == 0 else gain((d * d / (d * d + eps)) ** 0.5, eps, n - 1)


RIGHT = [
    ("uniform_segmaps", eye_maps), ("uniform_response", convolved), ("normalised_response", reflected),
    ("uniform_modulation", middle), ("colour_difference", colours), ("colour_difference", uniform.colour_difference),
    ("noise_gain", gain),
]  # fmt: skip


def everyone(k):
    return [(i, j) for i in range(k) for j in range(k)]


WRONG = [
    ("uniform_segmaps", lambda i, c, h, w: eye_maps(list(range(len(i))), c, h, w), "place in the list"),
    ("uniform_segmaps", lambda i, c, h, w: eye_maps(i, c, w, h), "swapped"),
    ("uniform_segmaps", lambda i, c, h, w: eye_maps(i, c, h, w).long(), "but integers"),
    ("uniform_segmaps", lambda i, c, h, w: eye_maps(i, c, h, w).permute(0, 2, 3, 1), "channels are the last axis"),
    ("uniform_response", lambda k, w, b: w[:, k, w.shape[2] // 2, w.shape[3] // 2] + b, "tap in the middle"),
    ("uniform_response", lambda k, w, b: w[:, k].sum((1, 2)), "bias isn't added"),
    ("uniform_response", lambda k, w, b: w.sum((1, 2, 3)) + b, "kernels of all classes"),
    ("uniform_response", lambda k, w, b: w[:, k].mean((1, 2)) + b, "taps are averaged"),
    ("normalised_response", lambda *a: reflected(*a, mode="constant"), "padded with zeros"),
    ("normalised_response", lambda *a: reflected(*a, norm=batch), "that is batch norm"),
    ("normalised_response", lambda *a: reflected(*a, norm=lambda y, eps: y), "instance norm is missing"),
    ("normalised_response", lambda *a: reflected(*a, act=F.relu), "no ReLU here"),
    ("normalised_response", lambda *a: reflected(*a, norm=lambda y, eps: F.instance_norm(F.relu(y), eps=eps)),
        "ReLU between convolution and norm"),
    ("uniform_modulation", lambda *a: middle(*a, act=lambda v: v), "ReLU behind the shared"),
    ("uniform_modulation", lambda *a: middle(*a)[::-1], "first gamma, then beta"),
    ("uniform_modulation", lambda *a: middle(*a, at=0), "value at the corner"),
    ("uniform_modulation", lambda *a: middle(*a, size=3, at=1), "map is too small"),
    ("uniform_modulation", lambda *a: (1 + middle(*a)[0], middle(*a)[1]), "The 1 of 1 + gamma"),
    ("uniform_modulation", lambda k, s, g, b: (g[:, :, 1, 1] @ F.relu(s[:, k, 1, 1]), b[:, :, 1, 1] @ F.relu(
        s[:, k, 1, 1])), "Only the middle taps"),
    ("colour_difference", lambda x: colours(x, scale=1.0), "brought to 0..255"),
    ("colour_difference", lambda x: colours(x, pairs=everyone), "image with itself"),
    ("colour_difference", lambda x: colours(x, distance=lambda d: d.norm(dim=-1)), "Euclidean"),
    ("colour_difference", lambda x: colours(x, distance=lambda d: d.square().mean(-1)), "squared"),
    ("colour_difference", lambda x: torch.stack(
        [(a - b).abs().mean() for a, b in combinations(127.5 * x, 2)]).mean(), "Pixels are compared"),
    ("noise_gain", lambda d, e, n: gain(d, e, min(n, 1)), "Only one norm"),
    ("noise_gain", lambda d, e, n: gain(d, e, 1), "Only one norm"),
    ("noise_gain", lambda d, e, n: gain(d, e, max(n - 1, 0)), "one norm too few"),
    ("noise_gain", lambda d, e, n: gain(d, 1e-5, n), "eps is always 1e-5"),
    ("noise_gain", lambda d, e, n: d / (d * d + e) ** (n / 2), "gain of the first norm"),
    ("noise_gain", lambda d, e, n: gain(d, e, n + 1), "one norm too many"),
    ("noise_gain", lambda d, e, n: d / e ** (n / 2), "for very small noise only"),
]  # fmt: skip
