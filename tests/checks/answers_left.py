"""Wrong answers for known mistakes that answers_NN.py has none for: {exercise: {mistake: answer}}.

Each is written without the checks' own switches, so that a switch which nobody's code would reproduce shows.
"""

from itertools import combinations

import torch
from torch import nn
from torch.nn import functional as F

from spade_edu.checks import exercises

KNOWN = {e.name: e.mistakes for e in exercises()}
BATCH, INSTANCE = (0, 2, 3), (2, 3)
AXES = {"batch": BATCH, "instance": INSTANCE, "layer": (1, 2, 3), "everything": (0, 1, 2, 3), "across": (0,),
        "channels": (1,)}  # fmt: skip
FORMULA = ["unbiased", "eps_outside", "no_eps", "fixed_eps", "no_root", "no_mean", "only_mean", "second_moment",
           "absolute", "detached", "no_norm"]  # fmt: skip
AFFINE = ["swapped", "no_beta", "no_gamma", "plus_one", "shift_first"]


def quotient(x, mean, var, eps, fault):
    if fault == "detached":
        mean, var = mean.detach(), var.detach()
    eps = {"no_eps": 0.0, "fixed_eps": 1e-5}.get(fault, eps)
    top = x if fault == "no_mean" else x - mean
    if fault == "no_norm":
        return x
    if fault == "only_mean":
        return top
    if fault == "no_root":
        return top / (var + eps)
    return top / (var**0.5 + eps) if fault == "eps_outside" else top * (var + eps) ** -0.5


def norm(x, eps, axes, fault):
    axes = AXES.get(fault, axes)
    size = x.numel() // x.mean(axes).numel()
    mean = x.mean(axes, True)
    if fault == "absolute":
        return (x - mean) / ((x - mean).abs().mean(axes, True) + eps)
    var = (x * x).mean(axes, True) if fault == "second_moment" else ((x - mean) ** 2).mean(axes, True)
    return quotient(x, mean, var * size / (size - 1) if fault == "unbiased" else var, eps, fault)


def affine(y, g, b, fault):
    if fault == "swapped":
        g, b = b, g
    if fault == "shift_first":
        return g * (y + b)
    y = y if fault == "no_gamma" else y * (g + 1 if fault == "plus_one" else g)
    return y if fault == "no_beta" else y + b


def column(v):
    return v.view(-1, 1, 1)


def batch_norm(f):
    def answer(x, g, b, m, v, training, eps):
        y = norm(x, eps, BATCH, f) if training else quotient(x, column(m), column(v), eps, f)
        return affine(y, column(g), column(b), f)

    return answer


def conditional(f):
    return lambda x, k, g, b, eps: affine(norm(x, eps, BATCH, f), g[k][..., None, None], b[k][..., None, None], f)


def clade(f):
    return lambda x, k, g, b, eps: affine(norm(x, eps, BATCH, f), g[k].movedim(3, 1), b[k].movedim(3, 1), f)


def adain(f):
    def answer(x, style, eps):
        axes, spare = AXES.get(f, INSTANCE), int(f == "unbiased")
        mean, var = style.mean(axes, True), style.var(axes, correction=spare, keepdim=True)
        return norm(x, eps, INSTANCE, f) * (var + eps).sqrt() + mean

    return answer


def residual(f):
    def answer(x, weight_0, weight_1, eps):
        conv = lambda y, weight: F.conv2d(F.pad(y, (1,) * 4, mode="reflect"), weight)  # noqa: E731
        y = norm(conv(x, weight_0), eps, INSTANCE, f).relu()
        return x + norm(conv(y, weight_1), eps, INSTANCE, f)

    return answer


def response(f):
    return lambda s, w, b, eps: norm(F.conv2d(F.pad(s, (1,) * 4, mode="reflect"), w, b), eps, INSTANCE, f)


def spade(f, resize=F.interpolate, act=F.relu, end=lambda v: v):
    def answer(x, segmap, shared, gamma, beta, eps):
        hidden = act(F.conv2d(resize(segmap, x.shape[2:]), shared, padding=1))
        g, b = (end(F.conv2d(hidden, weight, padding=1)) for weight in (gamma, beta))
        y = norm(x, eps, BATCH, f)
        return affine(y, b + 1, g, "") if f == "swapped" else affine(y, 1 + g, b, f)

    return answer


def by_fault(name, build, faults, without=()):
    return {fault: build(fault) for fault in faults if fault in KNOWN[name] and fault not in without}


def hinge(loss, of=lambda scale: scale[-1], join=lambda values: sum(values) / len(values)):
    return lambda fake: join([loss(of(scale)) for scale in fake])


def both(on_real, on_fake, of=lambda scale: scale[-1], join=lambda values: sum(values) / len(values)):
    """Of the discriminator: join(values of the scales) for real, and for fake."""
    return lambda real, fake: join([on_real(of(s)) for s in real]) + join([on_fake(of(s)) for s in fake])


def everything(scale):
    return torch.cat([m.flatten() for m in scale])


def matching(distance, part=slice(-1), scales=slice(None)):
    def answer(fake, real):
        pairs = list(zip(fake, real))[scales]
        return sum(distance(a, b.detach()) for f, r in pairs for a, b in zip(f[part], r[part])) / len(pairs)

    return answer


def picture(before=lambda x: F.leaky_relu(x, 0.2), after=torch.tanh):
    return lambda x, conv: after(conv(before(x)))


def divergence(terms, total=torch.sum):
    return lambda mu, logvar: -0.5 * total(terms(mu, logvar))


def pairs(distance, choose=lambda samples: combinations(samples, 2)):
    def answer(samples):
        found = [distance(a - b) for a, b in choose(samples)]
        return sum(found) / len(found)

    return answer


def colours(samples):
    return [(image + 1).mean((1, 2)) * 127.5 for image in samples]


def coloured(distance, prepare=colours, choose=lambda v: combinations(v, 2)):
    return lambda images: float(pairs(distance, choose)(prepare(images)))


def near(d):
    return d.abs().mean()


def styled(code, end=lambda y: y):
    def answer(generator, encoder, segmap, image):
        z = code(*encoder(image))
        return end(generator(segmap, z.repeat(len(segmap), 1)))

    return answer


def power(divide=lambda w, sigma: w / sigma, steps=1, unit=F.normalize, sigma=lambda u, W, v: u @ W @ v):
    def answer(weight, u, eps):
        W = weight.flatten(1)
        with torch.no_grad():
            for _ in range(steps):
                v = unit(u @ W, dim=0, eps=eps)
                u = unit(W @ v, dim=0, eps=eps)
        return divide(weight, sigma(u, W, v)), u

    return answer


def frechet(means=lambda d: d @ d, traces=lambda a, b: a.trace() + b.trace(), overlap=None, factor=2):
    def roots(a, b):
        values, vectors = torch.linalg.eigh(a)
        root = vectors @ torch.diag(values.clamp(min=0) ** 0.5) @ vectors.T
        return (torch.linalg.eigvalsh(root @ b @ root).clamp(min=0) ** 0.5).sum()

    return lambda m1, a, m2, b: float(means(m1 - m2) + traces(a, b) - factor * (overlap or roots)(a, b))


def maps(fill):
    def answer(ids, channels, height, width):
        segmaps = torch.zeros(len(ids), channels, height, width)
        fill(segmaps, ids)
        return segmaps

    return answer


def filled(ids_of=lambda ids: ids, value=lambda k: 1.0, place=...):
    def fill(segmaps, ids):
        for i, k in enumerate(ids_of(ids)):
            segmaps[i, k][place] = value(k)

    return maps(fill)


def united(segmaps, ids):
    segmaps[:, ids] = 1


def scored(error, mean=lambda s: s.mean(1)):
    return lambda s: (mean(s), error(s, s.shape[1] ** 0.5))


relu = F.relu
LEFT = {
    "batch_norm": by_fault("batch_norm", batch_norm, [*AXES, *FORMULA, *AFFINE],
                           without=("fixed_eps", "absolute", "second_moment")),
    "instance_norm": by_fault("instance_norm", lambda f: lambda x, eps: norm(x, eps, INSTANCE, f), [*AXES, *FORMULA]),
    "conditional_batch_norm": by_fault("conditional_batch_norm", conditional, [*AXES, *FORMULA, *AFFINE]),
    "clade_forward": by_fault("clade_forward", clade, [*AXES, *FORMULA, *AFFINE]),
    "adain": by_fault("adain", adain, [*AXES, *FORMULA]),
    "residual_block": by_fault("residual_block", residual, [*AXES, *FORMULA]),
    "normalised_response": by_fault("normalised_response", response, [*AXES, *FORMULA], without=("no_eps",)),
    "spade_forward": by_fault("spade_forward", spade, [*AXES, *FORMULA, "swapped", "no_beta"]) | {
        "leaky": spade("", act=lambda v: F.leaky_relu(v, 0.2)),
        "area": spade("", resize=F.adaptive_avg_pool2d),
        "bicubic": spade("", resize=lambda s, size: F.interpolate(s, size, mode="bicubic")),
        "exact": spade("", resize=lambda s, size: F.interpolate(s, size, mode="nearest-exact")),
        "relu_again": spade("", end=relu),
        "labels_normalised": spade("", end=F.instance_norm),
    },
    "hinge_generator": {
        "clipped": hinge(lambda v: -v.clamp(max=1).mean()),
        "minus_relu": hinge(lambda v: relu(-v).mean()),
        "squared": hinge(lambda v: ((1 - v) ** 2).mean()),
        "detached": lambda fake: torch.tensor([-s[-1].mean().item() for s in fake]).mean(),
        "sum": hinge(lambda v: -v.sum()),
        "last_scale": lambda fake: -fake[-1][-1].mean(),
        "first_map": hinge(lambda v: -v.mean(), of=lambda scale: scale[0]),
        "all_maps": hinge(lambda v: -v.mean(), of=everything),
    },
    "hinge_discriminator": {
        "sign": both(lambda v: -relu(1 - v).mean(), lambda v: -relu(1 + v).mean()),
        "minus": both(lambda v: relu(1 - v).mean(), lambda v: -relu(1 + v).mean()),
        "no_margin": both(lambda v: relu(-v).mean(), lambda v: relu(v).mean()),
        "mean_first": both(lambda v: relu(1 - v.mean()), lambda v: relu(1 + v.mean())),
        "only_fake": both(lambda v: 0, lambda v: relu(1 + v).mean()),
        "softplus": both(lambda v: F.softplus(1 - v).mean(), lambda v: F.softplus(1 + v).mean()),
        "detached": both(lambda v: relu(1 - v.detach()).mean(), lambda v: relu(1 + v.detach()).mean()),
        "sum": both(lambda v: relu(1 - v).sum(), lambda v: relu(1 + v).sum()),
        "scales_summed": both(lambda v: relu(1 - v).mean(), lambda v: relu(1 + v).mean(), join=sum),
        "one_scale": both(lambda v: relu(1 - v).mean(), lambda v: relu(1 + v).mean(), join=lambda v: v[0]),
        "last_scale": both(lambda v: relu(1 - v).mean(), lambda v: relu(1 + v).mean(), join=lambda v: v[-1]),
        "pooled": both(lambda v: relu(1 - v).flatten(), lambda v: relu(1 + v).flatten(),
                       join=lambda v: torch.cat(v).mean()),
        "first_map": both(lambda v: relu(1 - v).mean(), lambda v: relu(1 + v).mean(), of=lambda scale: scale[0]),
        "all_maps": both(lambda v: relu(1 - v).mean(), lambda v: relu(1 + v).mean(), of=everything),
    },
    "feature_matching": {
        "smooth": matching(F.smooth_l1_loss),
        "signed": matching(lambda a, b: (a - b).mean()),
        "of_means": matching(lambda a, b: (a.mean() - b.mean()).abs()),
        "sum": matching(lambda a, b: (a - b).abs().sum()),
        "one_scale": matching(F.l1_loss, scales=slice(1)),
        "first_left_out": matching(F.l1_loss, part=slice(1, None)),
    },
    "to_picture": {
        "conv_first": lambda x, conv: F.leaky_relu(conv(x), 0.2).tanh(),
        "tanh_inside": picture(before=torch.tanh),
        "clamped": picture(after=lambda y: y.clamp(-1, 1)),
        "softsign": picture(after=lambda y: y / (1 + y.abs())),
        "twice": picture(after=lambda y: y.tanh().tanh()),
        "zero_to_one": picture(after=lambda y: y.tanh() / 2 + 0.5),
        "bytes": picture(after=lambda y: 127.5 * y.tanh() + 127.5),
        "normalised": picture(before=lambda x: F.leaky_relu(F.instance_norm(x), 0.2)),
        "detached": picture(after=lambda y: y.tanh().detach()),
    },
    "kl_divergence": {
        "per_number": divergence(lambda m, s: (1 + s - m**2 - s.exp()) / m.shape[1]),
        "not_squared": divergence(lambda m, s: 1 + s - m - s.exp()),
        "absolute": divergence(lambda m, s: 1 + s - m.abs() - s.exp()),
        "no_mu": divergence(lambda m, s: 1 + s - s.exp()),
        "only_log": divergence(lambda m, s: 1 + s),
        "no_exp": divergence(lambda m, s: 1 + s - m**2 - s),
        "log_again": divergence(lambda m, s: 1 + s.abs().log() - m**2 - s.exp()),
        "weighted": divergence(lambda m, s: 0.05 * (1 + s - m**2 - s.exp())),
        "detached": divergence(lambda m, s: (1 + s - m**2 - s.exp()).detach()),
    },
    "diversity": {
        "both_ways": pairs(lambda d: 2 * near(d)),
        "neighbours": pairs(near, lambda s: zip(s[:-1], s[1:])),
        "from_first": pairs(near, lambda s: [(s[0], other) for other in s[1:]]),
        "to_mean": pairs(near, lambda s: [(one, s.mean(0)) for one in s]),
        "variance": lambda s: ((s - s.mean(0)) ** 2).sum(0).mean() / (len(s) - 1),
        "euclid": pairs(lambda d: (d**2).sum().sqrt()),
        "of_means": pairs(lambda d: d.mean().abs()),
        "farthest": lambda s: max(near(a - b) for a, b in combinations(s, 2)),
        "detached": lambda s: pairs(near)(s.detach()),
    },
    "colour_difference": {
        "grey": coloured(near, lambda v: [127.5 * (image.mean() + 1) for image in v]),
        "unit": coloured(lambda d: near(d) / 255),
        "twice": coloured(near, lambda v: [255 * (image + 1).mean((1, 2)) for image in v]),
        "with_first": coloured(near, choose=lambda c: [(c[0], other) for other in c[1:]]),
        "neighbours": coloured(near, choose=lambda c: zip(c, c[1:])),
        "channels_summed": coloured(lambda d: d.abs().sum()),
        "root": coloured(lambda d: (d**2).mean().sqrt()),
        "signed": coloured(lambda d: d.mean()),
        "largest": lambda images: max(near(a - b).item() for a, b in combinations(colours(images), 2)),
        "pairs_summed": lambda images: sum(near(a - b).item() for a, b in combinations(colours(images), 2)),
    },
    "transfer_style": {
        "deviation": styled(lambda mu, logvar: (logvar / 2).exp()),
        "added": styled(lambda mu, logvar: mu + logvar),
        "noise_of_one": styled(lambda mu, logvar: mu + (logvar / 2).exp()),
        "squashed": styled(lambda mu, logvar: mu.tanh()),
        "normalised": styled(lambda mu, logvar: F.normalize(mu)),
        "sign": styled(lambda mu, logvar: -mu),
        "rescaled": styled(lambda mu, logvar: mu, lambda y: y / 2 + 0.5),
    },
    "spectral_norm_step": {
        "sigma_detached": power(sigma=lambda u, W, v: (u @ W @ v).detach()),
        "frobenius": power(sigma=lambda u, W, v: (W**2).sum().sqrt()),
        "ten_steps": power(steps=10),
        "no_normalise": power(unit=lambda v, dim, eps: v),
        "no_eps": power(unit=lambda v, dim, eps: v / v.norm()),
        "squared": power(divide=lambda w, sigma: w / sigma / sigma),
        "multiplied": power(divide=lambda w, sigma: w * sigma),
    },
    "frechet_distance": {
        "absolute": frechet(means=lambda d: d.abs().sum()),
        "averaged": frechet(means=lambda d: (d**2).mean()),
        "summed": frechet(means=lambda d: d.sum() ** 2),
        "no_means": frechet(means=lambda d: 0),
        "only_means": lambda m1, a, m2, b: float(((m1 - m2) ** 2).sum()),
        "no_root": frechet(overlap=lambda a, b: (a @ b).trace()),
        "variances": frechet(overlap=lambda a, b: (a.diag() * b.diag()).sqrt().sum()),
        "root_of_trace": frechet(overlap=lambda a, b: (a @ b).trace().clamp(min=0).sqrt()),
        "plus": frechet(factor=-2),
        "matrix_sum": frechet(traces=lambda a, b: a.sum() + b.sum()),
    },
    "uniform_segmaps": {
        "sorted": filled(sorted),
        "first": filled(lambda ids: [ids[0]] * len(ids)),
        "id_as_value": filled(value=float),
        "one_pixel": filled(place=(0, 0)),
        "union": maps(united),
    },
    "mean_and_error": {
        "variance": scored(lambda s, root: s.var(1)),
        "pooled": scored(lambda s, root: (s.std() / root).expand(len(s))),
        "median": scored(lambda s, root: s.std(1) / root, lambda s: s.median(1)[0]),
        "spread": scored(lambda s, root: s.max(1)[0] - s.min(1)[0]),
        "absolute": scored(lambda s, root: (s - s.mean(1, True)).abs().mean(1) / root),
        "swapped": lambda s: (s.std(1) / s.shape[1] ** 0.5, s.mean(1)),
    },
    "batch_statistics": {
        "absolute": lambda x: (x.mean(BATCH), (x - x.mean(BATCH, True)).abs().mean(BATCH)),
        "not_averaged": lambda x: (x.mean(BATCH), ((x - x.mean(BATCH, True)) ** 2).sum(BATCH)),
        "swapped": lambda x: torch.var_mean(x, BATCH, correction=0),
        "per_pixel": lambda x: (x.mean(0), x.var(0, correction=0)),
        "one_number": lambda x: (x.mean(), x.var(correction=0)),
        "kept": lambda x: (x.mean(BATCH, True), x.var(BATCH, correction=0, keepdim=True)),
    },
}  # fmt: skip


def remembered(new=lambda x: (x.mean(BATCH), x.var(BATCH)), join=lambda old, new, a: (1 - a) * old + a * new):
    @torch.no_grad()
    def answer(mean, var, x, momentum):
        first, second = new(x)
        return join(mean, first, momentum), join(var, second, momentum)

    return answer


def spared(spare):
    """The variance with another number taken for count."""

    def new(x):
        n = spare(x)
        return x.mean(BATCH), x.var(BATCH, correction=0) * n / max(n - 1, 1e-9)

    return new


def channels(ids_of, end=lambda y: y.float()):
    return lambda label, k: end(F.one_hot(ids_of(label.long(), k), k + 1).movedim(3, 1))


def last(label, k):
    return label.where(label != 255, torch.tensor(k))


def edged(over, end=lambda e: e.float()):
    def answer(instance):
        edges = torch.zeros(instance.shape, dtype=torch.bool)
        for axis in over:
            there = instance.diff(dim=axis) != 0
            size = instance.shape[axis]
            if size > 1:
                edges.narrow(axis, 0, size - 1).logical_or_(there)
                edges.narrow(axis, 1, size - 1).logical_or_(there)
        return end(edges[:, None])

    return answer


def rimmed(edges):
    edges[..., 0] = edges[..., -1] = edges[..., 0, :] = edges[..., -1, :] = True
    return edges.float()


def twice(steps, mode="reflect", end=lambda x, y: x + y):
    """The residual block: steps are "0" and "1" for the convolutions, n: norm, r: ReLU, l: LeakyReLU."""

    def answer(x, weight_0, weight_1, eps):
        y = x
        for step in steps:
            if step in "01":
                y = F.conv2d(F.pad(y, (1,) * 4, mode=mode), (weight_0, weight_1)[int(step)])
            else:
                y = {"n": lambda v: F.instance_norm(v, eps=eps), "r": relu, "l": lambda v: F.leaky_relu(v, 0.2)}[step](
                    y
                )
        return end(x, y)

    return answer


def field(rule, start=(1, 1)):
    def answer(layers):
        seen, step = start
        for k, s in layers:
            seen, step = rule(seen, step, k, s)
        return seen

    return answer


def paths(first=0.2, second=0.2, one=("norm_0", "conv_0"), two=("norm_1", "conv_1"), skip=None, end=lambda y: y):
    def answer(x, segmap, p):
        y = p[one[1]](F.leaky_relu(p[one[0]](x, segmap), first))
        y = p[two[1]](F.leaky_relu(p[two[0]](y, segmap) if two[0] else y, second))
        return end(y + (skip or usual)(x, segmap, p))

    return answer


def usual(x, segmap, p):
    return p.conv_s(p.norm_s(x, segmap)) if "conv_s" in p else x


def gains(rule):
    def answer(deviation, eps, num_norms):
        for _ in range(num_norms):
            deviation = rule(deviation, eps)
        return deviation

    return answer


def constant(taps):
    return lambda k, weight, bias: taps(k, weight) + bias


def modulated(hidden_of, end=lambda v: v):
    def answer(k, shared, gamma, beta):
        hidden = hidden_of(shared, k)
        return tuple(end(torch.einsum("ckij,k->c", weight, hidden)) for weight in (gamma, beta))

    return answer


def gathered(mean_of=None, centre_of=None, between=None, kept=1):
    def answer(n, mean, scatter, batch):
        m, total = len(batch), n + len(batch)
        shift = batch.mean(0) - mean
        new = mean_of(mean, batch) if mean_of else mean + shift * m / total
        d = batch - (new if centre_of else batch.mean(0))
        step = torch.outer(shift, shift) * (n * m / total)
        step = between(step, total) if between else step
        return total, new, kept * scatter + d.T @ d + step

    return answer


def over_classes(value, keep=lambda hits, target, guess: target + guess - hits > 0, end=lambda v: v.mean().item()):
    def answer(counts):
        hits, target, guess = counts.diag().double(), counts.sum(1).double(), counts.sum(0).double()
        return end(value(hits, target, guess)[keep(hits, target, guess)])

    return answer


def iou(hits, target, guess):
    return hits / (target + guess - hits)


def compared(score, counted=lambda p, t, ignored: t != ignored):
    def answer(p, t, ignored):
        keep = counted(p, t, ignored)
        return score((p == t)[keep].double(), t[keep])

    return answer


def by_class(hits, target):
    return torch.stack([hits[target == k].mean() for k in target.unique()]).mean().item() if len(hits) else float("nan")


def chain(*made):
    """Layers of a patch discriminator: made(i, fin, fout, n) is entry i's list of modules."""

    def answer(in_channels, ndf, n):
        widths = [in_channels, *(min(ndf * 2**i, 512) for i in range(n)), 1]
        entries = [made[0](i, fin, fout, n) for i, (fin, fout) in enumerate(zip(widths, widths[1:]))]
        return nn.ModuleList(nn.Sequential(*entry) for entry in entries)

    return answer


def entry(i, fin, fout, n, kernel=4, padding=2, act=lambda: nn.LeakyReLU(0.2), swap=False):
    conv = nn.Conv2d(fin, fout, kernel, 2 if i < n - 1 else 1, padding)
    rest = [nn.InstanceNorm2d(fout)] * (0 < i < n) + [act()] * (i < n)
    return [conv, *(rest[::-1] if swap else rest)]


LEFT |= {
    "running_average": {
        "count_images": remembered(spared(len)),
        "count_everything": remembered(spared(torch.numel)),
        "deviation": remembered(lambda x: (x.mean(BATCH), x.std(BATCH))),
        "fixed": remembered(join=lambda old, new, a: 0.9 * old + 0.1 * new),
        "no_decay": remembered(join=lambda old, new, a: old + a * new),
        "replaced": remembered(join=lambda old, new, a: new),
    },
    "one_hot": {
        "class_zero": channels(lambda label, k: label * (label != 255)),
        "wrapped": channels(lambda label, k: label % (k + 1)),
        "unknown_first": channels(lambda label, k: (label + 1) * (label != 255)),
        "transposed": channels(last, lambda y: y.float().mT),
        "booleans": channels(last, lambda y: y > 0),
    },
    "instance_edges": {
        "rim": edged((1, 2), rimmed),
        "vertical_only": edged((1,)),
        "horizontal_only": edged((2,)),
        "inverted": edged((1, 2), lambda e: 1 - e.float()),
    },
    "receptive_field": {
        "stride_first": field(lambda f, j, k, s: (f + (k - 1) * j * s, j * s)),
        "only_last_stride": field(lambda f, j, k, s: (f + (k - 1) * s, s)),
        "added_strides": field(lambda f, j, k, s: (f + (k - 1) * j, j + s - 1)),
        "whole_kernel": field(lambda f, j, k, s: (f + k * j, j * s)),
        "product": field(lambda f, j, k, s: ((f + (k - 1) * j) * s, j * s)),
    },
    "spade_block": {
        "skip_without_norm": paths(skip=lambda x, s, p: p.conv_s(x) if "conv_s" in p else x),
        "skip_normalised": paths(skip=lambda x, s, p: p.conv_s(p.norm_s(x, s)) if "conv_s" in p else p.norm_0(x, s)),
        "tanh": paths(end=torch.tanh),
        "relu": paths(0.0, 0.0),
        "no_first_activation": paths(first=1.0),
        "no_second_activation": paths(second=1.0),
        "no_second_norm": paths(two=("", "conv_1")),
    },
    "uniform_response": {
        "one_row": constant(lambda k, w: w[:, k, w.shape[-1] // 2].sum(-1)),
        "id_as_value": constant(lambda k, w: k * w[:, k].sum((1, 2))),
        "from_the_end": constant(lambda k, w: w[:, w.shape[1] - 1 - k].sum((1, 2))),
    },
    "uniform_modulation": {
        "relu_early": modulated(lambda s, k: relu(s[:, k]).sum((1, 2))),
        "relu_late": modulated(lambda s, k: relu(s[:, k].sum((1, 2))), relu),
        "all_classes": modulated(lambda s, k: relu(s.sum((1, 2, 3)))),
    },
    "noise_gain": {
        "eps_outside": gains(lambda d, eps: d / (d + eps)),
        "no_root": gains(lambda d, eps: d / (d * d + eps)),
        "not_squared": gains(lambda d, eps: d / (d + eps) ** 0.5),
    },
    "update_statistics": {
        "new_centre": gathered(centre_of="new", between=lambda step, total: 0 * step),
        "shift_mean": gathered(between=lambda step, total: step / total),
        "shift_diagonal": gathered(between=lambda step, total: step.diag().diag()),
        "momentum": gathered(mean_of=lambda mean, batch: 0.9 * mean + 0.1 * batch.mean(0)),
        "forgotten": gathered(kept=0),
    },
    "mean_iou": {
        "absent_1": lambda c: over_classes(iou, lambda h, t, g: t > -1, lambda v: v.nan_to_num(1.0).mean().item())(c),
        "target_only": over_classes(iou, lambda h, t, g: t > 0),
        "dice": over_classes(lambda h, t, g: 2 * h / (t + g)),
        "percent": over_classes(iou, end=lambda v: 100 * v.mean().item()),
    },
    "pixel_accuracy": {
        "error": compared(lambda hits, t: (1 - hits).mean().item()),
        "percent": compared(lambda hits, t: 100 * hits.mean().item()),
        "per_class": compared(by_class),
    },
    "patch_discriminator": {
        "kernel_3": chain(lambda *a: entry(*a, kernel=3, padding=1)),
        "active_before_norm": chain(lambda *a: entry(*a, swap=True)),
        "relu": chain(lambda *a: entry(*a, act=nn.ReLU)),
        "norm_last": chain(lambda i, fin, fout, n: entry(i, fin, fout, n) + [nn.InstanceNorm2d(1)] * (i == n)),
        "active_last": chain(lambda i, fin, fout, n: entry(i, fin, fout, n) + [nn.LeakyReLU(0.2)] * (i == n)),
    },
    "kl_divergence": LEFT["kl_divergence"] | {
        "reverse": divergence(lambda m, s: 1 - s - (1 + m**2) * torch.exp(-s)),
    },
    "residual_block": LEFT["residual_block"] | {
        "replicate": twice("0nr1n", mode="replicate"),
        "no_relu": twice("0n1n"),
        "leaky": twice("0nl1n"),
        "relu_first": twice("0rn1n"),
        "one_norm": twice("0nr1"),
        "pre_activation": twice("nr0nr1"),
        "exchanged": twice("1nr0n"),
        "same_weight": twice("0nr0n"),
        "norm_after_sum": lambda x, a, b, eps: F.instance_norm(twice("0nr1")(x, a, b, eps), eps=eps),
    },
}  # fmt: skip
WRONG = [(name, answer, KNOWN[name][fault]) for name, faults in LEFT.items() for fault, answer in faults.items()]
