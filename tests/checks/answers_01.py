"""Answers to the exercises of stage 01 as students write them: right ones in other styles, and typical wrong ones."""

import torch
from torch.nn import functional as F


def col(v):
    return v[:, None, None]


def looped_statistics(x):
    means, variances = [], []
    for c in range(x.shape[1]):
        values = x[:, c].reshape(-1).double()
        means.append(values.mean())
        variances.append((values**2).mean() - values.mean() ** 2)  # the paper's equation 3
    return [torch.stack(means).to(x.dtype), torch.stack(variances).to(x.dtype)]


def torch_batch_norm(x, gamma, beta, mean, var, training, eps):
    return F.batch_norm(x, mean.clone(), var.clone(), gamma, beta, training, 0.1, eps)


def running_by_torch(mean, var, x, momentum):
    layer = torch.nn.BatchNorm2d(len(mean), momentum=momentum)
    layer.running_mean, layer.running_var = mean.clone(), var.clone()
    layer(x)
    return layer.running_mean, layer.running_var


def conditional_loop(x, label, gamma, beta, eps):
    y = F.batch_norm(x, None, None, training=True, eps=eps)
    return torch.stack([image * col(gamma[int(k)]) + col(beta[int(k)]) for image, k in zip(y, label)])


def adain_moments(x, style, eps):
    def moments(v):
        flat = v.flatten(2)
        return flat.mean(2)[..., None, None], (flat.var(2, unbiased=False) + eps).sqrt()[..., None, None]

    (mean, deviation), (style_mean, style_deviation) = moments(x), moments(style)
    return (x - mean) * (style_deviation / deviation) + style_mean


RIGHT = [
    ("batch_statistics", looped_statistics),
    ("batch_statistics", lambda x: (x.mean((0, 2, 3)), x.var((0, 2, 3), correction=0))),
    ("running_average", running_by_torch),
    ("running_average", lambda m, v, x, a: (
        torch.lerp(m, x.detach().mean((0, 2, 3)), a), torch.lerp(v, x.detach().var((0, 2, 3)), a))),
    ("batch_norm", torch_batch_norm),
    ("instance_norm", lambda x, eps: F.instance_norm(x.contiguous(), eps=eps)),
    ("instance_norm", lambda x, eps: F.group_norm(x, x.shape[1], eps=eps)),
    ("conditional_batch_norm", conditional_loop),
    ("adain", adain_moments),
]  # fmt: skip


def keep_old(m, v, x, a):
    with torch.no_grad():
        return a * m + (1 - a) * x.mean((0, 2, 3)), a * v + (1 - a) * x.var((0, 2, 3))


def in_place(m, v, x, a):
    with torch.no_grad():
        m.mul_(1 - a).add_(a * x.mean((0, 2, 3)))
        v.mul_(1 - a).add_(a * x.var((0, 2, 3)))
    return m, v


def bn(x, g, b, m, v, training, eps, unbiased=False, batch_always=False):
    if training or batch_always:
        m, v = x.mean((0, 2, 3)), x.var((0, 2, 3), unbiased=unbiased)
    return (x - col(m)) / torch.sqrt(col(v) + eps) * col(g) + col(b)


WRONG = [
    ("batch_statistics", lambda x: (x.mean((0, 2, 3)), x.var((0, 2, 3))), "divides by n - 1"),
    ("batch_statistics", lambda x: (x.mean((2, 3)), x.var((2, 3), unbiased=False)), "instance norm"),
    ("batch_statistics", lambda x: (x.mean((0, 2, 3)), x.std((0, 2, 3), unbiased=False)), "standard deviation"),
    ("batch_statistics", lambda x: (x.mean((0, 2, 3)), (x**2).mean((0, 2, 3))), "mean of x^2"),
    ("batch_statistics", lambda x: x.mean((0, 2, 3)), "expected 2 results"),
    ("batch_statistics", lambda x: (
        x.reshape(x.shape[1], -1).mean(1), x.reshape(x.shape[1], -1).var(1, correction=0)), "mixes the channels"),
    ("batch_statistics", lambda x: (x.mean((0, 2, 3)), x.var((2, 3), correction=0).mean(0)),
        "variances of the single images"),
    ("running_average", keep_old, "wrong way round"),
    ("running_average", in_place, "`running_mean` is changed in place"),
    ("running_average", lambda m, v, x, a: (
        (1 - a) * m + a * x.mean((0, 2, 3)), (1 - a) * v + a * x.var((0, 2, 3))), "carry a gradient"),
    ("running_average", lambda m, v, x, a: (
        (1 - a) * m + a * x.detach().mean((0, 2, 3)), (1 - a) * v + a * x.detach().var((0, 2, 3), unbiased=False)),
        "yours divides by count"),
    ("batch_norm", lambda *a: bn(*a, batch_always=True), "In evaluation you still use the statistics of the batch"),
    ("batch_norm", lambda x, g, b, m, v, t, e: bn(x, g, b, m, v, not t, e), "The `if` is the wrong way round"),
    ("batch_norm", lambda *a: bn(*a, unbiased=True), "divides by n - 1"),
    ("batch_norm", lambda x, g, b, m, v, t, e: bn(x, b, g, m, v, t, e), "swapped"),
    ("batch_norm", lambda x, g, b, m, v, t, e: bn(x, g, b, m, v, False, e), "In training you use the running"),
    ("batch_norm", lambda x, g, b, m, v, t, e: bn(x, g, b, m, v, t, 1e-5), "take the argument `eps`"),
    ("instance_norm", lambda x, e: F.batch_norm(x, None, None, training=True, eps=e), "that is batch norm"),
    ("instance_norm", lambda x, e: F.layer_norm(x, x.shape[1:], eps=e), "that is layer norm"),
    ("instance_norm", lambda x, e: (x - x.mean((2, 3), keepdim=True)) / (x.std((2, 3), keepdim=True) + e),
        "divides by n - 1"),
    ("instance_norm", lambda x, e: (x - x.mean((2, 3), keepdim=True))
        / (x.var((2, 3), keepdim=True, unbiased=False) + e), "divide by its square root"),
    ("conditional_batch_norm", lambda x, k, g, b, e: F.batch_norm(x, None, None, g[k[0]], b[k[0]], True, eps=e),
        "first image's class"),
    ("conditional_batch_norm", lambda x, k, g, b, e: F.instance_norm(x, eps=e) * g[k][:, :, None, None]
        + b[k][:, :, None, None], "that is instance norm"),
    ("conditional_batch_norm", lambda x, k, g, b, e: conditional_loop(x, k, 1 + g, b, e),
        "1 + gamma"),
    ("conditional_batch_norm", lambda x, k, g, b, e: F.batch_norm(x, None, None, training=True, eps=e)
        * g[k][:, :, None, None], "beta isn't added"),
    ("adain", lambda x, s, e: adain_moments(s, x, e)[..., : x.shape[2], : x.shape[3]], "shape"),
    ("adain", lambda x, s, e: F.instance_norm(x, eps=e) * s.std((2, 3), keepdim=True, unbiased=False)
        + s.mean((2, 3), keepdim=True), "eps is missing under the root of the style's"),
    ("adain", lambda x, s, e: F.instance_norm(x, eps=e) * s.std((2, 3), keepdim=True) + s.mean((2, 3), keepdim=True),
        "style's variance divides by n - 1"),
    ("adain", lambda x, s, e: F.instance_norm(x, eps=e) * (s.var((2, 3), keepdim=True, unbiased=False) + e)
        + s.mean((2, 3), keepdim=True), "multiply"),
    ("adain", lambda x, s, e: adain_moments(x, s, e) - s.mean((2, 3), keepdim=True), "style's mean isn't added"),
    ("adain", lambda x, s, e: adain_moments(x, s.detach(), e), "style's statistics are cut off"),
]  # fmt: skip
