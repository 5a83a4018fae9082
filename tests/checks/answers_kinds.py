"""Wrong answers by kind (ten of each, over different exercises), and right ones in unusual style.

Most are the reference with one thing done to it: R holds the references by name.
"""

import copy
import math
from itertools import product
from types import SimpleNamespace

import numpy as np
import torch
from answers_modules import changed
from torch import nn
from torch.nn import functional as F

from spade_edu.checks import exercises
from spade_edu.losses import hinge_discriminator

R = SimpleNamespace(**{e.name: e.reference for e in exercises()})


def after(name, do):
    """The reference, and then do(result, *arguments) in place of its result."""
    reference = getattr(R, name)
    return name, lambda *a: do(reference(*a), *a)


def before(name, do):
    """do(*arguments), which may change them or what is in them, and then the reference."""
    reference = getattr(R, name)

    def answer(*arguments):
        do(*arguments)
        return reference(*arguments)

    return name, answer


# --- an axis of length 1 that gets lost ---


def squeezed_norm(x, eps):
    mean, var = x.mean((2, 3)).squeeze(), x.var((2, 3), correction=0).squeeze()
    return (x - mean[..., None, None]) / torch.sqrt(var[..., None, None] + eps)


def squeezed_lookup(x, label, gamma, beta, eps):
    y = F.batch_norm(x, None, None, training=True, eps=eps)
    g, b = gamma[label].squeeze(), beta[label].squeeze()
    return y * g.reshape(*g.shape, 1, 1) + b.reshape(*b.shape, 1, 1)


def squeezed_hinge(fake):
    return torch.stack([-scale[-1].squeeze().mean((1, 2)).mean() for scale in fake]).mean()


def squeezed_classes(x, label, gamma, beta, eps):
    y = F.batch_norm(x, None, None, training=True, eps=eps)
    return y * gamma[label].squeeze().movedim(-1, 1) + beta[label].squeeze().movedim(-1, 1)


THIN = [
    (*after("batch_statistics", lambda y, x: (y[0].squeeze(), y[1].squeeze())), "one channel, made from"),
    ("instance_norm", squeezed_norm, "Right with"),
    ("conditional_batch_norm", squeezed_lookup, "Right with"),
    (*after("spade_forward", lambda y, *a: y.squeeze(1)), "axis of length 1 is missing"),
    ("clade_forward", squeezed_classes, "Right with"),
    (*after("spade_block", lambda y, *a: y.squeeze(-1)), "pictures of one column"),
    (*after("to_picture", lambda y, *a: y.squeeze(2)), "pictures of one row"),
    (*after("one_hot", lambda y, *a: y.squeeze()), "axis of length 1 is missing"),
    (*after("nearest_resize", lambda y, *a: y.squeeze(2)), "axis of length 1 is missing"),
    (*after("instance_mean", lambda y, *a: y.squeeze(1)), "one channel"),
    ("hinge_generator", squeezed_hinge, "Right with: 2 scales of 2 images"),
    (*after("adain", lambda y, *a: y.squeeze(3)), "pictures of one column"),
]

# --- floats where whole numbers are asked ---


def field_by_floats(layers):
    field, step = 1, 1.0
    for kernel, stride in layers:
        field, step = field + (kernel - 1) * step, step * stride
    return field


def field_backwards(layers):
    field = 1.0
    for kernel, stride in reversed(layers):
        field = field * stride + kernel - stride
    return np.float64(field)


FLOATS = [
    ("receptive_field", field_by_floats, "expected a whole number"),
    ("receptive_field", field_backwards, "expected a whole number"),
    (*after("receptive_field", lambda y, layers: torch.tensor(float(y))), "expected a whole number"),
    (*after("count_block", lambda y, *a: 2 * y / 2), "expected a whole number"),
    (*after("count_block", lambda y, *a: math.fsum([y])), "expected a whole number"),
    (*after("update_statistics", lambda y, *a: (float(y[0]), *y[1:])), "Result [0] is 9.0, a float"),
    (*after("update_statistics", lambda y, *a: (torch.tensor(y[0] / 1), *y[1:])), "expected a whole number"),
    (*after("confusion_matrix", lambda y, *a: y.double()), "expected int64, whole numbers"),
    (*after("nearest_resize", lambda y, *a: y.float()), "ids stay integers"),
    (*after("nearest_resize", lambda y, *a: y / 1), "ids stay integers"),
]

# --- state that is kept between calls ---


def grows(name, join, seen=None):
    """The reference, joined with the results of all calls before."""
    kept = [] if seen is None else seen

    def do(result, *arguments):
        kept.append(result)
        return join(kept)

    return after(name, do)


def cached(name, key):
    """The reference behind a cache that looks at key(*arguments) only."""
    results = {}
    reference = getattr(R, name)

    def answer(*arguments):
        k = key(*arguments)
        if k not in results:
            results[k] = reference(*arguments)
        return results[k]

    return name, answer


def resized_once():
    resized = {}

    def answer(x, segmap, shared, gamma, beta, eps):
        key = (tuple(x.shape), tuple(segmap.shape))
        if key not in resized:
            resized[key] = F.interpolate(segmap, size=x.shape[-2:])
        return R.spade_forward(x, resized[key], shared, gamma, beta, eps)

    return answer


class Warmup:
    calls = 0

    def __call__(self, mu, logvar):
        self.calls += 1
        return min(1.0, 0.1 * self.calls) * R.kl_divergence(mu, logvar)


STATE = [
    (*grows("hinge_generator", lambda kept: torch.stack([k.detach() for k in kept[:-1]] + kept[-1:]).mean()),
        "keeps something between calls"),
    (*grows("uniform_segmaps", torch.cat), "keeps something between calls"),
    (*grows("receptive_field", sum), "keeps something between calls"),
    (*grows("confusion_matrix", lambda kept: kept[-1] + len(kept) - 1), "keeps something between calls"),
    ("kl_divergence", Warmup(), "keeps something between calls"),
    (*cached("one_hot", lambda label, n: (label.shape, n)), "keeps something between calls"),
    (*cached("nearest_resize", lambda label, h, w: (h, w)), "the result of an earlier call"),
    (*cached("mean_iou", lambda counts: len(counts)), "kept the result of an earlier call"),
    (*cached("pixel_accuracy", lambda p, t, ignored: (p.shape, ignored, p.dtype)), "makes no difference"),  # true
    ("spade_forward", resized_once(), "keeps something"),
    (*cached("diversity", lambda samples: samples.shape), "keeps something"),
    (*cached("frechet_distance", lambda m1, c1, m2, c2: m1.shape), "kept the result of an earlier call"),
]  # fmt: skip

# --- lists and dictionaries of the caller ---


def popped(scales):
    return -torch.stack([scale.pop().mean() for scale in scales]).mean()


def emptied(layers):
    field, step = 1, 1
    while layers:
        kernel, stride = layers.pop(0)
        field, step = field + (kernel - 1) * step, step * stride
    return field


def reversed_in_place(layers):
    field = 1
    layers.reverse()
    for kernel, stride in layers:
        field = field * stride + kernel - stride
    return field


def without_predictions(fake, real):
    for scale in fake + real:
        del scale[-1]
    losses = [sum(F.l1_loss(a, b.detach()) for a, b in zip(f, r)) for f, r in zip(fake, real)]
    return sum(losses) / len(losses)


def detached_in_place(fake, real):
    for scale in real:
        scale[:] = [m.detach() for m in scale]
    return R.feature_matching(fake, real)


IN_PLACE = [
    ("hinge_generator", popped, "The list `fake[0]` is changed in place"),
    ("receptive_field", emptied, "The list `layers` is changed in place"),
    ("receptive_field", reversed_in_place, "The list `layers` is changed in place"),
    (*before("receptive_field", lambda layers: layers.insert(0, (1, 1))), "The list `layers` is changed in place"),
    ("feature_matching", without_predictions, "The list `fake[0]` is changed in place"),
    ("feature_matching", detached_in_place, "The list `real[0]` is changed in place"),
    (*before("hinge_discriminator", lambda real, fake: real.reverse() or fake.reverse()), "`real` is changed in place"),
    (*after("uniform_segmaps", lambda y, ids, *a: ids.sort() or y), "The list `class_ids` is changed in place"),
    (*after("run_blocks", lambda y, x, s, blocks, plan: blocks.pop(-1) and y), "`blocks` has other layers"),
    (*after("spade_block", lambda y, x, s, parts: parts.pop("conv_0") and y), "`parts` has other layers"),
]

# --- side effects on networks ---


def in_eval_mode(generator, encoder, segmap, image):
    encoder.eval()
    return R.transfer_style(generator, encoder, segmap, image)


def judged_frozen(generator, discriminator, segmap, real):
    generator.requires_grad_(False)
    return hinge_discriminator(discriminator(segmap, real), discriminator(segmap, generator(segmap)))


def with_backward(generator, discriminator, segmap, real):
    loss = R.discriminator_loss(generator, discriminator, segmap, real)
    loss.backward(retain_graph=True)
    return loss


NETWORKS = [
    ("transfer_style", in_eval_mode, "leaves `encoder` in eval mode"),
    (*after("transfer_style", lambda y, g, *a: g.requires_grad_(False) and y), "with requires_grad off"),
    ("discriminator_loss", judged_frozen, "weights of `generator` with requires_grad off"),
    ("discriminator_loss", with_backward, "leaves gradients in the weights of `discriminator`"),
    (*before("discriminator_loss", lambda g, d, *a: g.eval()), "leaves `generator` in eval mode"),
    (*before("spade_block", lambda x, s, parts: parts.eval()), "leaves `parts` in eval mode"),
    (*before("run_blocks", lambda x, s, blocks, plan: blocks.eval()), "leaves `blocks` in eval mode"),
    (*after("to_picture", lambda y, x, conv: y.sum().backward(retain_graph=True) or y), "leaves gradients in"),
    (*after("first_map", lambda y, s, z, fc, size: fc.eval() and y), "leaves `fc` in eval mode"),
    (*before("update_average", lambda averaged, *a: averaged.eval()), "leaves `averaged` in eval mode"),
    (
        *after("spade_block", lambda y, x, s, parts: parts.register_forward_hook(print) and y),
        "leaves a hook on `parts`",
    ),
]

# --- conditions: wrong in every case, or turned round ---


def norm_by(condition):
    return lambda x, g, b, m, v, training, eps: R.batch_norm(x, g, b, m, v, condition(training), eps)


def blocks_by(doubles):
    def answer(x, segmap, blocks, plan):
        for i, block in enumerate(blocks):
            if i > 0 and doubles(i, plan):
                x = F.interpolate(x, scale_factor=2)
            x = block(x, segmap)
        return x

    return answer


def count_where(skip):
    def answer(fin, fout, labels, hidden, kernel):
        equal = R.count_block(fin, fin, labels, hidden, kernel)
        narrow, spade = min(fin, fout), lambda c: (labels * kernel**2 + 1) * hidden + 2 * (hidden * kernel**2 + 1) * c
        total = spade(fin) + (9 * fin + 1) * narrow + spade(narrow) + (9 * narrow + 1) * fout
        assert fin != fout or total == equal
        return total + (spade(fin) + fin * fout if skip(fin, fout) else 0)

    return answer


def average_where(copies):
    @torch.no_grad()
    def answer(averaged, network, decay):
        for old, new in zip(averaged.state_dict().values(), network.state_dict().values()):
            old.copy_(new if copies(old) else (decay * old + (1 - decay) * new))
        return averaged

    return answer


def layers_with(stride):
    def answer(in_channels, ndf, num_layers):
        layers = R.patch_discriminator(in_channels, ndf, num_layers)
        for i, layer in enumerate(layers, start=1):
            conv = layer if isinstance(layer, nn.Conv2d) else layer[0]
            conv.stride = (stride(i, num_layers),) * 2
        return layers

    return answer


CONDITIONS = [
    ("batch_norm", norm_by(lambda t: not t), "The `if` is the wrong way round"),
    ("batch_norm", norm_by(lambda t: t == "train"), "In training you use the running"),
    ("batch_norm", norm_by(lambda t: t is not None), "In evaluation you still use the statistics of the batch"),
    ("run_blocks", blocks_by(lambda i, plan: i != 2 or plan == "normal"), "It is the other way round"),
    ("run_blocks", blocks_by(lambda i, plan: i != 2 or plan != "Normal"), "doubles five times, not six"),
    ("run_blocks", blocks_by(lambda i, plan: i != 2), "never doubled before the third block"),
    ("count_block", count_where(lambda a, b: a == b), "the wrong way round"),
    ("count_block", count_where(lambda a, b: a is None), "The learned skip path is missing"),
    ("count_block", count_where(lambda a, b: True), "Where fin = fout"),
    ("update_average", average_where(lambda old: old.is_floating_point()), "The network is copied"),
    ("update_average", average_where(lambda old: False), "averaging rounds it down"),
    ("update_average", average_where(lambda old: True), "The network is copied"),
    ("patch_discriminator", layers_with(lambda i, n: 2 if i >= n else 1), "the wrong way round"),
    ("patch_discriminator", layers_with(lambda i, n: 1), "The first convolutions have stride 2"),
    ("BatchNorm2d", changed("BatchNorm2d", ("if self.training:", "if not self.training:")), "the wrong way round"),
]

# --- the contract, where the course's own classes don't need all of it ---


def block_by(skips):
    def answer(x, segmap, parts):
        y = parts["conv_0"](F.leaky_relu(parts["norm_0"](x, segmap), 0.2))
        y = parts["conv_1"](F.leaky_relu(parts["norm_1"](y, segmap), 0.2))
        return y + (x if skips(x, y, parts) else parts["conv_s"](parts["norm_s"](x, segmap)))

    return answer


def block_with(resize):
    return lambda x, segmap, parts: R.spade_block(x, resize(segmap, x), parts)


def blocks_with(resize):
    def answer(x, segmap, blocks, plan):
        for i, block in enumerate(blocks):
            if i > 0 and (i != 2 or plan != "normal"):
                x = F.interpolate(x, scale_factor=2)
            x = block(x, resize(segmap, x))
        return x

    return answer


def nearest(segmap, x):
    return F.interpolate(segmap, size=x.shape[-2:], mode="nearest")


def by_index(segmap, x):
    (h, w), (H, W) = x.shape[-2:], segmap.shape[-2:]
    return segmap[:, :, torch.arange(h) * H // h][..., torch.arange(w) * W // w]


def at_most(segmap, x):
    return nearest(segmap, x) if segmap.shape[-1] > 4 * x.shape[-1] else segmap


CONTRACT = [
    ("spade_block", block_by(lambda x, y, parts: x.shape == y.shape), "The skip path is chosen by the widths"),
    ("spade_block", block_by(lambda x, y, parts: x.shape[1] == y.shape[1]), "The skip path is chosen by the widths"),
    ("spade_block", block_by(lambda x, y, p: p["conv_0"].in_channels == p["conv_1"].out_channels), "by the widths"),
    ("spade_block", block_by(lambda x, y, p: p["conv_1"].weight.shape[0] == x.size(1)), "by the widths"),
    ("spade_block", block_with(nearest), "a label map that is resized already"),
    ("spade_block", block_with(by_index), "a label map that is resized already"),
    ("run_blocks", blocks_with(nearest), "a label map that is resized already"),
    ("run_blocks", blocks_with(by_index), "a label map that is resized already"),
    ("run_blocks", blocks_with(at_most), "blocks that average the full-size label map"),
    ("run_blocks", lambda x, s, b, plan: R.run_blocks(x, nearest(s, x), b, plan), "shrunk to the first map's size"),
]

WRONG = {
    "thin": THIN,
    "floats": FLOATS,
    "state": STATE,
    "in place": IN_PLACE,
    "networks": NETWORKS,
    "conditions": CONDITIONS,
    "contract": CONTRACT,
}

# --- right ones in unusual style ---


def welford(x):
    """Batch statistics pixel by pixel, with a running mean and sum of squares."""
    mean, squares, count = torch.zeros_like(x[0, :, 0, 0]), torch.zeros_like(x[0, :, 0, 0]), 0
    for pixel in x.permute(0, 2, 3, 1).reshape(-1, x.shape[1]):
        count += 1
        shift = pixel - mean
        mean = mean + shift / count
        squares = squares + shift * (pixel - mean)
    return mean, squares / count


def norm_by_einsum(x, eps):
    n, c, h, w = x.shape
    centred = x - torch.einsum("nchw->nc", x)[:, :, None, None] / (h * w)
    return centred * torch.rsqrt(torch.einsum("nchw,nchw->nc", centred, centred) / (h * w) + eps)[:, :, None, None]


def batch_norm_where(x, gamma, beta, m, v, training, eps):
    mean, var = (x.mean((0, 2, 3)), x.var((0, 2, 3), correction=0)) if training else (m, v)
    scale = gamma * (var + eps) ** -0.5
    return torch.addcmul((beta - mean * scale).view(1, -1, 1, 1), x, scale.view(1, -1, 1, 1))


def one_hot_by_scatter(label, num_classes):
    ids = label.long().masked_fill(label == 255, num_classes)[:, None]
    shape = (len(label), num_classes + 1, *label.shape[1:])
    return torch.zeros(shape).scatter_(1, ids, 1.0)


def edges_by_unfold(instance):
    middle = F.pad(instance[:, None].double(), (1, 1, 1, 1), mode="replicate")
    shifts = [(0, 1), (2, 1), (1, 0), (1, 2)]
    h, w = instance.shape[1:]
    found = [middle[..., i : i + h, j : j + w] != instance[:, None] for i, j in shifts]
    return torch.stack(found).any(0).float()


def edges_by_python(instance):
    ids, (n, h, w) = instance.tolist(), instance.shape
    out = torch.zeros(n, 1, h, w)
    for k, i, j in product(range(n), range(h), range(w)):
        around = [(i + 1, j), (i - 1, j), (i, j + 1), (i, j - 1)]
        out[k, 0, i, j] = any(ids[k][a][b] != ids[k][i][j] for a, b in around if 0 <= a < h and 0 <= b < w)
    return out


def block_of_layers(x, weight_0, weight_1, eps):
    c = x.shape[1]
    layers = nn.Sequential(nn.ReflectionPad2d(1), nn.Conv2d(c, c, 3, bias=False), nn.InstanceNorm2d(c, eps=eps))
    parts = [copy.deepcopy(layers), copy.deepcopy(layers)]
    y = x
    for part, weight in zip(parts, (weight_0, weight_1)):
        y = torch.func.functional_call(part, {"1.weight": weight}, (y,))
        y = torch.relu(y) if part is parts[0] else y
    return x + y


def field_recursive(layers):
    if not layers:
        return 1
    (kernel, stride), *rest = layers
    return kernel + stride * (field_recursive(rest) - 1)


def spade_by_unfold(x, segmap, shared, gamma, beta, eps):
    y = F.batch_norm(x, None, None, None, None, True, 0.1, eps)
    (h, w), (H, W) = x.shape[2:], segmap.shape[2:]
    s = segmap[:, :, (torch.arange(h) * H).div(h, rounding_mode="floor")]
    s = s[..., (torch.arange(w) * W).div(w, rounding_mode="floor")]

    def conv(v, weight):
        columns = F.unfold(v, 3, padding=1)
        return (weight.flatten(1) @ columns).unflatten(2, (h, w))

    hidden = conv(s, shared).clamp_min(0)
    return y + y * conv(hidden, gamma) + conv(hidden, beta)


def spade_one_convolution(x, segmap, shared, gamma, beta, eps):
    hidden = torch.relu(F.conv2d(F.interpolate(segmap, x.shape[2:]), shared, padding="same"))
    scale, shift = F.conv2d(hidden, torch.cat([gamma, beta]), padding="same").chunk(2, dim=1)
    var, mean = torch.var_mean(x, (0, 2, 3), correction=0, keepdim=True)
    return (x - mean) * (var + eps).rsqrt() * scale.add(1) + shift


def clade_by_embedding(x, label, gamma, beta, eps):
    y = F.batch_norm(x, None, None, training=True, eps=eps).movedim(1, -1)
    return (F.embedding(label, gamma) * y + F.embedding(label, beta)).movedim(-1, 1)


def clade_by_one_hot(x, label, gamma, beta, eps):
    y = F.batch_norm(x, None, None, training=True, eps=eps)
    segmap = F.one_hot(label, len(gamma)).to(x.dtype)
    return torch.einsum("nhwk,kc->nchw", segmap, gamma) * y + torch.einsum("nhwk,kc->nchw", segmap, beta)


def block_in_a_loop(x, segmap, parts):
    skip = x
    if hasattr(parts, "keys") and "conv_s" in list(parts.keys()):
        skip = parts.conv_s(parts.norm_s(x, segmap))
    for norm, conv in ((parts.norm_0, parts.conv_0), (parts.norm_1, parts.conv_1)):
        x = norm(x, segmap)
        x = conv(torch.where(x > 0, x, 0.2 * x))
    return skip + x


def block_put_back(x, segmap, parts):
    """Changes modes and restores them."""
    modes = {name: module.training for name, module in parts.named_modules()}
    parts.eval()
    y = R.spade_block(x, segmap, parts)
    for name, module in parts.named_modules():
        module.training = modes[name]
    return y


def frozen_and_back(generator, discriminator, segmap, real):
    generator.requires_grad_(False)
    fake = generator(segmap)
    generator.requires_grad_(True)
    return hinge_discriminator(discriminator(segmap, real), discriminator(segmap, fake))


def blocks_popped_from_a_copy(x, segmap, blocks, plan):
    rest = list(blocks)
    x = rest.pop(0)(x, segmap)
    doubled = [plan == "more" or plan == "most" if i == 1 else True for i in range(len(rest))]
    while rest:
        if doubled.pop(0):
            x = torch.kron(x, torch.ones(1, 1, 2, 2))
        x = rest.pop(0)(x, segmap)
    return x


def popped_from_a_copy(scales):
    scales = [list(scale) for scale in scales]
    return sum(-scale.pop().mean() for scale in scales) / len(scales)


KNOWN = {}


def memo(layers, known=KNOWN):
    key = tuple(layers)
    if key not in known:
        known[key] = field_recursive(layers)
    return known[key]


def spectral_by_hand(weight, u, eps):
    W = weight.detach().flatten(1)
    v = W.T @ u
    v = v / v.norm().clamp_min(eps)
    new = W @ v
    new = new / max(new.norm().item(), eps)
    return weight / torch.einsum("i,ij,j", new, weight.flatten(1), v), new


def average_by_lerp(averaged, network, decay):
    with torch.no_grad():
        for name, value in network.state_dict().items():
            old = averaged.state_dict()[name]
            old.lerp_(value, 1 - decay) if old.is_floating_point() else old.copy_(value)
    return averaged


def confusion_by_one_hot(prediction, target, num_classes, ignored):
    keep = target != ignored
    t, p = target[keep].long(), prediction[keep].long()
    if p.numel() and not 0 <= p.min() <= p.max() < num_classes:
        raise ValueError("no such class")
    return F.one_hot(t, num_classes).T @ F.one_hot(p, num_classes)


def confusion_by_python(prediction, target, num_classes, ignored):
    counts = [[0] * num_classes for _ in range(num_classes)]
    for t, p in zip(target.flatten().tolist(), prediction.flatten().tolist()):
        if t == ignored:
            continue
        if p not in range(num_classes):
            raise ValueError(p)
        counts[t][p] += 1
    return torch.tensor(counts)


def iou_by_python(counts):
    rows, n = counts.tolist(), len(counts)
    values = []
    for k in range(n):
        union = sum(rows[k]) + sum(row[k] for row in rows) - rows[k][k]
        values += [rows[k][k] / union] if union else []
    return sum(values) / len(values) if values else math.nan


def pooled_by_index(x, instance):
    n, c, h, w = x.shape
    _, index = torch.unique(torch.stack([torch.arange(n)[:, None, None].expand_as(instance), instance]).flatten(1),
                            dim=1, return_inverse=True)  # fmt: skip
    flat, number = x.movedim(1, -1).reshape(-1, c), int(index.max()) + 1
    total = torch.zeros(number, c, dtype=x.dtype).index_add(0, index, flat)
    count = torch.bincount(index, minlength=number)[:, None]
    return (total / count)[index].view(n, h, w, c).movedim(-1, 1)


def diversity_by_cdist(samples):
    k, flat = len(samples), samples.flatten(1)
    distances = (flat[:, None] - flat[None]).abs().mean(-1)
    return distances.triu(1).sum() * 2 / (k * (k - 1))


def layers_in_a_list(in_channels, ndf, num_layers):
    def layer(i):
        fin, fout = (in_channels if i == 0 else min(ndf << (i - 1), 512)), min(ndf << i, 512)
        conv = nn.Conv2d(fin, fout, (4, 4), (2, 2) if i < num_layers - 1 else (1, 1), (2, 2))
        norm = [nn.InstanceNorm2d(fout)] if i else []
        return nn.Sequential(conv, *norm, nn.LeakyReLU(negative_slope=0.2, inplace=True))

    return [*map(layer, range(num_layers)), nn.Conv2d(min(ndf << (num_layers - 1), 512), 1, 4, 1, 2)]


class Callable:
    """An answer that is an object."""

    def __call__(self, mu, logvar):
        p = torch.distributions.Normal(mu, (logvar / 2).exp())
        return torch.distributions.kl_divergence(p, torch.distributions.Normal(0.0, 1.0)).sum()


RIGHT = [
    ("batch_statistics", welford),
    ("batch_statistics", lambda x: tuple(reversed(torch.var_mean(x, (0, 2, 3), correction=0)))),
    ("batch_statistics", lambda x: [f(x.transpose(0, 1).flatten(1)) for f in (
        lambda v: v.mean(1), lambda v: v.var(1, correction=0))]),
    ("running_average", lambda m, v, x, a: tuple(
        old.lerp(new.detach(), a) for old, new in zip((m, v), (x.mean((0, 2, 3)), x.var((0, 2, 3)))))),
    ("batch_norm", batch_norm_where),
    ("batch_norm", lambda x, *a: R.batch_norm(x.contiguous(memory_format=torch.channels_last), *a)),
    ("instance_norm", norm_by_einsum),
    ("instance_norm", lambda x, eps: torch.cat(
        [F.batch_norm(image[None], None, None, training=True, eps=eps) for image in x])),
    ("conditional_batch_norm", lambda x, k, g, b, eps: torch.stack([
        y * s[:, None, None] + t[:, None, None] for y, s, t in zip(
            F.batch_norm(x, None, None, training=True, eps=eps), g[k], b[k])])),
    ("adain", lambda x, s, eps: F.instance_norm(x, eps=eps) * (s.var((2, 3), correction=0, keepdim=True) + eps) ** 0.5
        + s.mean((2, 3), keepdim=True)),
    ("one_hot", one_hot_by_scatter),
    ("one_hot", lambda label, n: torch.eye(n + 1)[torch.where(label == 255, n, label.long())].movedim(-1, 1)),
    ("one_hot", lambda label, n: torch.stack([label == (k if k < n else 255) for k in range(n + 1)], 1).float()),
    ("instance_edges", edges_by_unfold),
    ("instance_edges", edges_by_python),
    ("residual_block", block_of_layers),
    ("receptive_field", field_recursive),
    ("receptive_field", memo),
    ("receptive_field", lambda layers: 1 + sum(
        (k - 1) * math.prod(s for _, s in layers[:i]) for i, (k, _) in enumerate(layers))),
    ("receptive_field", lambda layers: torch.tensor(field_recursive(layers))),
    ("nearest_resize", lambda label, h, w: F.interpolate(label[:, None].double(), (h, w))[:, 0].to(label.dtype)),
    ("nearest_resize", lambda label, h, w: torch.stack([torch.stack([
        label[:, i * label.shape[1] // h, j * label.shape[2] // w] for j in range(w)], -1) for i in range(h)], 1)),
    ("spade_forward", spade_by_unfold),
    ("spade_forward", spade_one_convolution),
    ("clade_forward", clade_by_embedding),
    ("clade_forward", clade_by_one_hot),
    ("spade_block", block_in_a_loop),
    ("spade_block", block_put_back),
    ("uniform_segmaps", lambda ids, n, h, w: torch.eye(n)[ids][:, :, None, None].repeat(1, 1, h, w)),
    ("uniform_segmaps", lambda ids, n, h, w: F.one_hot(torch.tensor(ids), n).float()[..., None, None].expand(
        -1, -1, h, w)),
    ("uniform_response", lambda k, weight, bias: torch.einsum("cij->c", weight.select(1, k)).add(bias)),
    ("uniform_modulation", lambda k, s, g, b: tuple(
        torch.einsum("ckij,k->c", v, s[:, k].sum((-1, -2)).clamp(min=0)) for v in (g, b))),
    ("colour_difference", lambda v: np.float64(
        F.pdist((v.mean((2, 3)) * 127.5).double(), p=1).mean() / 3)),
    ("first_map", lambda segmap, z, fc, size: fc(F.interpolate(segmap, size)) if z is None else torch.unflatten(
        fc(z), 1, (-1, *size))),
    ("run_blocks", blocks_popped_from_a_copy),
    ("to_picture", lambda x, conv: 2 * torch.sigmoid(2 * conv(torch.maximum(x, x / 5))) - 1),
    ("patch_discriminator", layers_in_a_list),
    ("hinge_generator", popped_from_a_copy),
    ("hinge_generator", lambda fake: -torch.stack([torch.mean(s[-1]) for s in fake[::-1]]).mean()),
    ("hinge_discriminator", lambda real, fake: sum(
        (1 - r[-1]).clamp(min=0).mean() + (1 + f[-1]).clamp(min=0).mean() for r, f in zip(real, fake)) / len(real)),
    ("feature_matching", lambda fake, real: sum(
        (a - b.data).abs().mean() for f, r in zip(fake, real) for a, b in zip(f[:-1], r)) / len(real)),
    ("discriminator_loss", frozen_and_back),
    ("spectral_norm_step", spectral_by_hand),
    ("update_average", average_by_lerp),
    ("update_statistics", lambda n, m, s, b: (
        torch.tensor(n + len(b)), (n * m + b.sum(0)) / (n + len(b)), s + n * torch.outer(m, m) + b.T @ b - (
            (n + len(b)) * torch.outer((n * m + b.sum(0)) / (n + len(b)), (n * m + b.sum(0)) / (n + len(b)))))),
    ("confusion_matrix", confusion_by_one_hot),
    ("confusion_matrix", confusion_by_python),
    ("mean_iou", iou_by_python),
    ("instance_mean", pooled_by_index),
    ("diversity", diversity_by_cdist),
    ("kl_divergence", Callable()),
]  # fmt: skip
