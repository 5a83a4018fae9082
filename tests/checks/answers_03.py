"""Answers to the exercises of stage 03 as students write them: right ones in other styles, and typical wrong ones."""

import torch
from torch.nn import functional as F


def interpolated(label, h, w):
    return F.interpolate(label[:, None].double(), size=(h, w), mode="nearest")[:, 0].to(label.dtype)


def looped(label, h, w):
    out = label.new_zeros(len(label), h, w)
    for y in range(h):
        for x in range(w):
            out[:, y, x] = label[:, y * label.shape[1] // h, x * label.shape[2] // w]
    return out


def spade(x, segmap, shared, gamma, beta, eps, *, norm=None, mode="nearest", act=F.relu, one=1.0):
    norm = norm or (lambda v: F.batch_norm(v, None, None, training=True, eps=eps))
    hidden = act(F.conv2d(F.interpolate(segmap, x.shape[2:], mode=mode), shared, padding="same"))
    both = F.conv2d(hidden, torch.cat([gamma, beta]), padding="same")
    g, b = both.chunk(2, dim=1)
    return torch.addcmul(b, one + g, norm(x))


def clade(x, label, gamma, beta, eps, norm=None):
    one_hot = F.one_hot(label, len(gamma)).to(x.dtype)
    norm = norm or (lambda v: F.batch_norm(v, None, None, training=True, eps=eps))
    g, b = (torch.einsum("nhwk,kc->nchw", one_hot, table) for table in (gamma, beta))
    return norm(x) * g + b


def block(x, segmap, parts, *, slope=0.2, skip_act=False, skip=True, skip_norm="norm_s", after=lambda y: y):
    act = torch.nn.LeakyReLU(slope)
    y = x
    for i in range(2):
        y = parts[f"conv_{i}"](act(parts[f"norm_{i}"](y, segmap)))
    if not skip:
        return y
    if "conv_s" in parts:
        x = parts[skip_norm](x, segmap)
        x = parts["conv_s"](act(x) if skip_act else x)
    return after(y + x)


RIGHT = [
    ("nearest_resize", interpolated), ("nearest_resize", looped), ("spade_forward", spade), ("clade_forward", clade),
    ("spade_block", block),
]  # fmt: skip


def bilinear(label, h, w):
    return F.interpolate(label[:, None].float(), size=(h, w), mode="bilinear")[:, 0].round().to(label.dtype)


def exact(label, h, w):
    return F.interpolate(label[:, None].double(), size=(h, w), mode="nearest-exact")[:, 0].to(label.dtype)


def spade_resized_late(x, segmap, shared, gamma, beta, eps):
    hidden = F.relu(F.conv2d(segmap, shared, padding=1))
    scale, shift = (F.interpolate(F.conv2d(hidden, w, padding=1), size=x.shape[2:]) for w in (gamma, beta))
    return F.batch_norm(x, None, None, training=True, eps=eps) * (1 + scale) + shift


WRONG = [
    ("nearest_resize", bilinear, "Copy ids, don't mix them"),
    ("nearest_resize", exact, "nearest-exact"),
    ("nearest_resize", lambda y, h, w: interpolated(y, w, h), "swapped"),
    ("nearest_resize", lambda y, h, w: interpolated(y, h, w).float(), "but floats"),
    ("nearest_resize", lambda y, h, w: F.adaptive_max_pool2d(y[:, None].double(), (h, w))[:, 0].to(y.dtype), "largest"),
    ("spade_forward", lambda *a: spade(*a, one=0.0), "without the 1 +"),
    ("spade_forward", spade_resized_late, "resize the label map first"),
    ("spade_forward", lambda *a: spade(*a, mode="bilinear"), "bilinear"),
    ("spade_forward", lambda *a: spade(*a, norm=lambda v: F.instance_norm(v, eps=a[-1])), "that is instance norm"),
    ("spade_forward", lambda *a: spade(*a, act=lambda v: v), "The ReLU between"),
    ("spade_forward", lambda *a: spade(*a, norm=lambda v: v), "has to be normalised first"),
    ("spade_forward", lambda *a: spade(*a, mode="bilinear", one=0.0), " And: "),
    ("clade_forward", lambda x, y, g, b, e: clade(x, y, 1 + g, b, e), "You scale by 1 + gamma"),
    ("clade_forward", lambda x, y, g, b, e: clade(x, y[:, :1, :1].expand_as(y), g, b, e), "class of its first pixel"),
    ("clade_forward", lambda x, y, g, b, e: clade(x, y, g, b, e, lambda v: F.instance_norm(v, eps=e)), "instance norm"),
    ("clade_forward", lambda x, y, g, b, e: F.batch_norm(x, None, None, training=True, eps=e)
        * g[y].reshape(x.shape) + b[y].reshape(x.shape), "scramble"),
    ("clade_forward", lambda x, y, g, b, e: clade(x, y, b, g, e), "swapped"),
    ("spade_block", lambda *a: block(*a, skip_act=True), "activation on the skip path"),
    ("spade_block", lambda *a: block(*a, slope=0.01), "slope 0.01"),
    ("spade_block", lambda *a: block(*a, skip=False), "skip path isn't added"),
    ("spade_block", lambda *a: block(*a, skip_norm="norm_0"), "norm of its own"),
    ("spade_block", lambda *a: block(*a, after=lambda y: F.leaky_relu(y, 0.2)), "An activation follows the sum"),
]  # fmt: skip
