"""Answers to the exercises of stage 00 as students write them: right ones in other styles, and typical wrong ones."""

import torch
from torch.nn import functional as F

from spade_edu.labels import instance_edges


def scattered(label, k):
    ids = label.long().clone()
    ids[ids == 255] = k
    return torch.zeros(len(ids), k + 1, *ids.shape[1:]).scatter_(1, ids[:, None], 1.0)


def edges_loop(instance):
    n, h, w = instance.shape
    out = torch.zeros(n, 1, h, w)
    for i in range(n):
        for y in range(h):
            for x in range(w):
                near = [(y - 1, x), (y + 1, x), (y, x - 1), (y, x + 1)]
                inside = [(a, b) for a, b in near if 0 <= a < h and 0 <= b < w]
                out[i, 0, y, x] = any(instance[i, a, b] != instance[i, y, x] for a, b in inside)
    return out


def hot(ids, k):
    return F.one_hot(ids, k).permute(0, 3, 1, 2).float()


def edges_forward(instance):
    out = torch.zeros_like(instance).bool()
    out[:, :, :-1] |= instance[:, :, 1:] != instance[:, :, :-1]
    out[:, :-1] |= instance[:, 1:] != instance[:, :-1]
    return out[:, None].float()


def edges_rolled(instance):
    out = torch.zeros_like(instance).bool()
    for axis in (1, 2):
        for step in (1, -1):
            out |= instance != instance.roll(step, axis)
    return out[:, None].float()


def edges_dilated(instance):
    x = instance[:, None].double()
    return (F.max_pool2d(x, 3, 1, 1) != -F.max_pool2d(-x, 3, 1, 1)).float()


def edges_overwritten(instance):
    out = torch.zeros_like(instance).bool()
    above, beside = instance[:, 1:] != instance[:, :-1], instance[:, :, 1:] != instance[:, :, :-1]
    out[:, 1:], out[:, :-1] = above, above
    out[:, :, 1:] = beside
    out[:, :, :-1] = beside
    return out[:, None].float()


def edges_laplace(instance):
    x = F.pad(instance[:, None].double(), (1, 1, 1, 1), mode="replicate")
    kernel = torch.tensor([[0.0, -1.0, 0.0], [-1.0, 4.0, -1.0], [0.0, -1.0, 0.0]]).double()[None, None]
    return (F.conv2d(x, kernel) != 0).float()


RIGHT = [("one_hot", scattered), ("instance_edges", edges_loop), ("instance_edges", instance_edges)]
WRONG = [
    ("one_hot", lambda y, k: hot(y.long().clamp(max=k - 1), k), "last class"),
    ("one_hot", lambda y, k: hot(y.long().clamp(max=k), k + 1)[:, :-1], "channel is missing"),
    ("one_hot", lambda y, k: hot(y.long().clamp(max=k), k + 1) * (y != 255)[:, None], "no channel at all"),
    ("one_hot", lambda y, k: F.one_hot(y.long().clamp(max=k), k + 1).float(), "channels are the last axis"),
    ("one_hot", lambda y, k: hot(y.long().clamp(max=k), k + 1).long(), "but integers"),
    ("instance_edges", edges_forward, "Only one side of a border is marked"),
    ("instance_edges", edges_rolled, "wraps around"),
    ("instance_edges", edges_dilated, "Diagonal"),
    ("instance_edges", edges_overwritten, "overwrites"),
    ("instance_edges", edges_laplace, "cancel"),
    ("instance_edges", lambda i: edges_loop(i).bool(), "but booleans"),
    ("instance_edges", lambda i: edges_loop(i)[:, 0], "channel axis is missing"),
]
