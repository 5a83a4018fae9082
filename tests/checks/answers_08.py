"""Typical answers to the exercises of stage 08: wrong ones with what they are told, right ones in another style."""

import torch


def scored(error):
    return lambda scores: (scores.mean(1), error(scores, scores.shape[1]))


def by_numpy(scores):
    values = scores.numpy()
    error = values.std(axis=1, ddof=1) / values.shape[1] ** 0.5
    return torch.from_numpy(values.mean(axis=1)), torch.from_numpy(error)


WRONG = [
    ("mean_and_error", lambda s: (s.mean(1), s.std(1) / len(s) ** 0.5), "root of the number of systems"),
    ("mean_and_error", lambda s: (s.mean(1), s.std(1) / (s.shape[1] - 1) ** 0.5), "has its n - 1 already"),
    ("mean_and_error", lambda s: (s.mean(1), s.std(1) / s.numel() ** 0.5), "number of all scores"),
    (
        "mean_and_error",
        lambda s: (s.mean(1).tolist(), s.std(1).tolist()),
        "Result [0] is a list",
    ),
    ("mean_and_error", scored(lambda s, n: s.std(1)), "spread of one run"),
    ("mean_and_error", scored(lambda s, n: s.std(1) / n), "divide by its root"),
    ("mean_and_error", scored(lambda s, n: s.std(1, correction=0) / n**0.5), "n - 1"),
    ("mean_and_error", scored(lambda s, n: 1.96 * s.std(1) / n**0.5), "95 %"),
    ("mean_and_error", lambda s: (s.mean(0), s.std(0) / len(s) ** 0.5), "over the systems"),
    ("mean_and_error", scored(lambda s, n: s.var(1) / n), "root is missing"),
]
RIGHT = [
    ("mean_and_error", by_numpy),
    ("mean_and_error", scored(lambda s, n: (s.var(1) / n).sqrt())),
]
