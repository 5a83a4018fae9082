"""Answers to the exercises of stage 02 as students write them: right ones in other styles, and typical wrong ones."""

import torch
from torch.nn import functional as F


def block_of_layers(x, w0, w1, eps):
    conv = torch.nn.Conv2d(x.shape[1], x.shape[1], 3, padding=1, padding_mode="reflect", bias=False).to(x.dtype)
    half = lambda v, w: F.group_norm(torch.func.functional_call(conv, {"weight": w}, (v,)), v.shape[1], eps=eps)  # noqa: E731
    return half(half(x, w0).clamp(min=0), w1) + x


def field_from_output(layers):
    field = 1
    for kernel, stride in reversed(layers):
        field = (field - 1) * stride + kernel
    return torch.tensor(field)


RIGHT = [
    ("residual_block", block_of_layers), ("receptive_field", field_from_output),
]  # fmt: skip


def block_zeros_later(x, w0, w1, eps):
    y = F.relu(F.instance_norm(F.conv2d(F.pad(x, (1, 1, 1, 1), mode="reflect"), w0), eps=eps))
    return x + F.instance_norm(F.conv2d(y, w1, padding=1), eps=eps)


def block(x, w0, w1, eps, mode="reflect", after=lambda y: y, norm=F.instance_norm, last=lambda y: y):
    y = F.relu(norm(F.conv2d(F.pad(x, (1, 1, 1, 1), mode=mode), w0), eps=eps))
    return after(x + last(norm(F.conv2d(F.pad(y, (1, 1, 1, 1), mode=mode), w1), eps=eps)))


def batch(y, eps):
    return F.batch_norm(y, None, None, training=True, eps=eps)


WRONG = [
    ("residual_block", lambda x, a, b, e: block(x, a, b, e) - x, "x isn't added"),
    ("residual_block", lambda *a: block(*a, mode="constant"), "padded with zeros"),
    ("residual_block", block_zeros_later, "The second convolution pads with zeros"),
    ("residual_block", lambda *a: block(*a, after=F.relu), "no ReLU after the sum"),
    ("residual_block", lambda *a: block(*a, norm=batch), "that is batch norm"),
    ("residual_block", lambda *a: block(*a, last=F.relu), "behind the second norm"),
    ("receptive_field", lambda layers: 1 + sum(k - 1 for k, _ in layers), "strides have no effect"),
    ("receptive_field", lambda layers: field_from_output(layers[::-1]), "wrong direction"),
    ("receptive_field", lambda layers: field_from_output(layers) - 1, "It starts at 0"),
    ("receptive_field", lambda layers: field_from_output(layers[:-1]), "last layer isn't counted"),
]  # fmt: skip
