"""The known mistakes that no other stored answer makes, each written without the checks' own switches.

REST: {exercise: {mistake: answer}}.
"""

from types import SimpleNamespace

import torch
from answers_11 import by_channel, seen
from answers_left import BATCH, INSTANCE, adain, affine, column, iou, norm, over_classes, quotient, spade
from torch import nn
from torch.nn import functional as F

from spade_edu.checks import exercises
from spade_edu.checks.faults import healthy_text
from spade_edu.checks.s11_find_the_bug import audit

KNOWN = {e.name: e.mistakes for e in exercises()}
R = SimpleNamespace(**{e.name: e.reference for e in exercises()})
relu = F.relu


def mean_only(mean, var, x, momentum):
    return (1 - momentum) * mean + momentum * x.detach().mean(BATCH), var.clone()


def batch_norm_by(train, evaluate):
    def answer(x, g, b, m, v, training, eps):
        y = train(x, eps) if training else evaluate(x, column(m), column(v), eps)
        return y * column(g) + column(b)

    return answer


def by_class(x, k, g, b, eps):
    y = torch.stack([norm(x[k == one], eps, BATCH, "")[(k[:i] == one).sum()] for i, one in enumerate(k)])
    return affine(y, g[k][..., None, None], b[k][..., None, None], "")


def table(rows_of):
    """Conditional batch norm with rows_of(label, table) for gamma and beta."""

    def answer(x, k, g, b, eps):
        rows = [rows_of(k, t)[..., None, None] for t in (g, b)]
        return affine(norm(x, eps, BATCH, ""), *rows, "")

    return answer


def pixel_table(rows_of):
    def answer(x, k, g, b, eps):
        return affine(norm(x, eps, BATCH, ""), *(rows_of(k, t).movedim(3, 1) for t in (g, b)), "")

    return answer


def not_bounded(s, w, b, eps):
    y = F.conv2d(F.pad(s, (1,) * 4, mode="reflect"), w, b)
    return (y - y.mean((2, 3), keepdim=True)) / torch.sqrt(y.var((2, 3), keepdim=True, unbiased=False))


def taken(place):
    """A label map of the pixels place(i, old, new)."""

    def answer(label, height, width):
        rows = torch.tensor([place(i, label.shape[1], height) for i in range(height)])
        return label[:, rows][..., torch.tensor([place(i, label.shape[2], width) for i in range(width)])]

    return answer


def resized(by):
    return lambda label, height, width: by(label[:, None].double(), (height, width))[:, 0].to(label.dtype)


def half(x, segmap, p):
    y = p.conv_1(p.conv_0(F.leaky_relu(p.norm_0(x, segmap), 0.2)))
    return y + (p.conv_s(p.norm_s(x, segmap)) if "conv_s" in p else x)


def one_side(behind):
    def answer(instance):
        edges = torch.zeros(instance.shape)
        for axis in (1, 2):
            step = instance.diff(dim=axis) != 0
            edges.narrow(axis, behind, step.shape[axis]).masked_fill_(step, 1.0)
        return edges[:, None]

    return answer


def shrunk(by, end=lambda y: y, read=None):
    """The first map, with by(segmap, size) in place of the smaller label map, or read(flat, size) of the code's."""

    def answer(segmap, z, fc, size):
        if z is None:
            return end(fc(by(segmap, size)))
        return end((read or (lambda v, size: v.unflatten(1, (-1, *size))))(fc(z), size))

    return answer


def nearest(segmap, size):
    return F.interpolate(segmap, size)


def grown(double, order=lambda i, plan: i > 0 and (i != 2 or plan != "normal")):
    def answer(x, segmap, blocks, plan):
        for i, block in enumerate(blocks):
            x = block(double(x) if order(i, plan) else x, segmap)
        return x

    return answer


def spread(x):
    wide = torch.zeros(*x.shape[:2], 2 * x.shape[2], 2 * x.shape[3], dtype=x.dtype)
    wide[:, :, ::2, ::2] = x
    return wide


def end_doubled(x, segmap, blocks, plan):
    """The last block gets what the one before it made, and its result is doubled."""
    *others, final = blocks
    for i, block in enumerate(others):
        x = block(F.interpolate(x, scale_factor=2) if i > 0 and (i != 2 or plan != "normal") else x, segmap)
    return F.interpolate(final(x, segmap), scale_factor=2)


def counts(middle=min, kernel=lambda k: k, own=3, hidden_bias=1, shared=1, extra=0, second=True, norm_s=True, square=2):
    def conv(fin, fout, k, bias=1):
        return fout * (fin * k + bias)

    def answer(fin, fout, labels, hidden, k):
        area, block, width = kernel(k) ** square, (k if own is None else own) ** 2, middle(fin, fout)

        def layer(c):
            return shared * conv(labels, hidden, area, hidden_bias) + 2 * conv(hidden, c, area) + extra * c

        total = layer(fin) + conv(fin, width, block) + second * layer(width) + conv(width, fout, block)
        return total + (norm_s * layer(fin) + fin * fout) * (fin != fout)

    return answer


def drawn(gain_of=lambda g: g, kinds=(nn.Conv2d, nn.ConvTranspose2d, nn.Linear), where=nn.Module.modules, also=()):
    def answer(network, gain=0.02):
        for layer in where(network):
            if isinstance(layer, kinds):
                nn.init.xavier_normal_(layer.weight, gain_of(gain))
            if isinstance(layer, (*kinds, *also)) and layer.bias is not None:
                layer.bias.data.fill_(0)
        return network

    return answer


def discriminator(first=1, limit=512, verdict=1, more=0):
    def answer(fin, ndf, number):
        number, entries = number + more, []
        for i in range(number):
            fout = min(first * ndf << i, limit)
            rest = [nn.InstanceNorm2d(fout)] * (i > 0) + [nn.LeakyReLU(0.2)]
            entries.append(nn.Sequential(nn.Conv2d(fin, fout, 4, 2 if i < number - 1 else 1, 2), *rest))
            fin = fout
        return nn.ModuleList([*entries, nn.Conv2d(fin, verdict, 4, 1, 2)])

    return answer


def looked_at(distance, join=sum):
    def answer(features, weights, fake, real):
        pairs = zip(weights, features(fake), [f.detach() for f in features(real)])
        return join([w * distance(a - b) for w, a, b in pairs])

    return answer


def near(d):
    return d.abs().mean()


def other_matrix(weight, u, eps):
    W = weight.movedim(0, -1).flatten(0, 2).T if weight.dim() < 4 else weight.reshape(-1, len(weight)).T
    with torch.no_grad():
        v = F.normalize(W.T @ u, dim=0, eps=eps)
        u = F.normalize(W @ v, dim=0, eps=eps)
    return weight / (u @ (W @ v)), u


def judged(real=lambda v: relu(1 - v).mean(), fake=lambda v: relu(1 + v).mean(), of=lambda s: s[-1], join=None,
           painted=lambda y: y, shown=lambda s: s, end=lambda r, f: r + f):  # fmt: skip
    """The discriminator's loss from values of single scales, with other pictures or label maps."""
    mean = join or (lambda values: sum(values) / len(values))

    def answer(G, D, segmap, image):
        picture = painted(G(segmap).detach())
        on_real, on_fake = D(segmap, image), D(shown(segmap), picture)
        return end(mean([real(of(s)) for s in on_real]), mean([fake(of(s)) for s in on_fake]))

    return answer


def everything(scale):
    return torch.cat([m.flatten() for m in scale])


def averaged_by(mix, buffers=None, counter=lambda old, new: new, only=""):
    """The average with mix(old, new, decay); buffers(old, new) of running statistics; names that end with `only`."""

    @torch.no_grad()
    def answer(averaged, network, decay):
        kept = dict(averaged.named_buffers())
        for (name, old), new in zip(averaged.state_dict().items(), network.state_dict().values()):
            if not old.is_floating_point():
                old.copy_(counter(old, new))
            elif name in kept and buffers:
                old.copy_(buffers(old, new))
            elif name.endswith(only):
                old.copy_(mix(old, new, decay))
        return averaged

    return answer


def usual(old, new, decay):
    return old * decay + new * (1 - decay)


def the_other_one(averaged, network, decay):
    with torch.no_grad():
        for old, new in zip(averaged.state_dict().values(), network.state_dict().values()):
            if old.is_floating_point():
                new.copy_(usual(old, new, decay))
            else:
                old.copy_(new)
    return averaged


def statistics(end=lambda mean, cov: (mean, cov), of=lambda x: x.double(), divide=lambda n: n - 1):
    def answer(features):
        x = of(features)
        d = x - x.mean(0)
        return end(x.mean(0), d.T @ d / divide(len(x)))

    return answer


def tally(choose=lambda p, t, k, void: t != void, as_=lambda p, t, k, void: (p, t), end=lambda c: c, wrong=None):
    def answer(prediction, target, k, void):
        keep = choose(prediction, target, k, void)
        p, t = (v[keep].long() for v in as_(prediction.long(), target.long(), k, void))
        wrong_ones = (p < 0) | (p >= k) if wrong is None else wrong(p, k)
        if wrong_ones.any():
            raise ValueError("no such class")
        p = p.clamp(0, k - 1) if wrong is nothing else p
        return end(torch.bincount(k * t + p, minlength=k * k)[: k * k].view(k, k))

    return answer


def counted_but_255(prediction, target, k, void):
    counts = [[0] * k for _ in range(k)]
    for t, p in zip(target.flatten().tolist(), prediction.flatten().tolist()):
        if t != 255:
            if not 0 <= p < k:
                raise ValueError("no such class")
            counts[t][p] += 1
    return torch.tensor(counts)


def nothing(p, k):
    return torch.zeros(len(p), dtype=torch.bool)


def hit(counts):
    return counts.diag().double(), counts.sum(1).double(), counts.sum(0).double()


def weighted(counts):
    hits, target, guess = hit(counts)
    keep = target + guess - hits > 0
    return ((iou(hits, target, guess) * target)[keep].sum() / target.sum()).item()


def accuracy(right_of, count_of):
    return lambda p, t, void: (right_of(p, t, void).sum() / count_of(p, t, void).sum()).item()


def scaled(scale_of, drawn_of=torch.randn_like, mean=1.0):
    return lambda mu, logvar: mean * mu + scale_of(logvar) * drawn_of(mu)


def pooled(value):
    """Each object's pixels (c, m) replaced by value(pixels, picture, id)."""

    def answer(x, instance):
        y = x.clone()
        for i in range(len(x)):
            for k in instance[i].unique():
                there = instance[i] == k
                y[i][:, there] = value(x[i][:, there], x[i], int(k)).expand(-1, int(there.sum()))
        return y

    return answer


def divergence(terms):
    return lambda mu, logvar: -0.5 * terms(mu, logvar).sum()


def any_fault(code):
    return float(code.text != healthy_text())


def undecided(code):
    return 0.05


REST = {
    "running_average": {"variance_forgotten": mean_only},
    "batch_norm": {
        "second_moment": batch_norm_by(lambda x, eps: norm(x, eps, BATCH, "second_moment"),
                                       lambda x, m, v, eps: quotient(x, m, v, eps, "")),
        "absolute": batch_norm_by(
            lambda x, eps: (x - x.mean(BATCH, True)) / ((x - x.mean(BATCH, True)).abs().mean(BATCH, True) + eps),
            lambda x, m, v, eps: quotient(x, m, v, eps, "")),
        "running_deviation": batch_norm_by(lambda x, eps: norm(x, eps, BATCH, ""),
                                           lambda x, m, v, eps: (x - m) / (v + eps)),
    },
    "conditional_batch_norm": {
        "per_class": by_class,
        "by_position": table(lambda k, t: t[[i % len(t) for i in range(len(k))]]),
        "averaged": table(lambda k, t: t.mean(0, keepdim=True)),
    },
    "adain": {
        "no_scale": lambda x, s, eps: F.instance_norm(x, eps=eps) + s.mean(INSTANCE, True),
        "exchanged": lambda x, s, eps: adain("")(s, x, eps),
    },
    "instance_edges": {"second_side": one_side(1), "first_side": one_side(0)},
    "nearest_resize": {
        "rounded": taken(lambda i, old, new: min(round(i * old / new), old - 1)),
        "corners": taken(lambda i, old, new: round(i * (old - 1) / max(new - 1, 1))),
        "cropped": taken(lambda i, old, new: i % old),
        "bilinear": resized(lambda v, size: F.interpolate(v, size, mode="bilinear")),
        "bilinear_rounded": resized(lambda v, size: F.interpolate(v, size, mode="bilinear").round()),
        "averaged": resized(F.adaptive_avg_pool2d),
    },
    "spade_forward": {"shift_first": spade("shift_first")},
    "clade_forward": {
        "first_image": pixel_table(lambda k, t: t[k[:1]].expand(len(k), -1, -1, -1)),
        "averaged": pixel_table(lambda k, t: t.mean(0).expand(*k.shape, -1)),
        "transposed": pixel_table(lambda k, t: t[k.mT.reshape(k.shape)]),
    },
    "spade_block": {"one_half": half},
    "uniform_response": {"output_channel": lambda k, weight, bias: weight[k].sum() + bias},
    "normalised_response": {
        "replicate": lambda s, w, b, eps: F.instance_norm(
            F.conv2d(F.pad(s, (1,) * 4, mode="replicate"), w, b), eps=eps),
        "no_eps": not_bounded,
        "norm_first": lambda s, w, b, eps: F.conv2d(
            F.pad(F.instance_norm(s, eps=eps), (1,) * 4, mode="reflect"), w, b),
        "bias_late": lambda s, w, b, eps: R.normalised_response(s, w, b, eps) + b[:, None, None],
    },
    "noise_gain": {"no_eps": lambda deviation, eps, num_norms: 1.0 if num_norms else deviation},
    "first_map": {
        "max": shrunk(F.adaptive_max_pool2d),
        "exact": shrunk(lambda s, size: F.interpolate(s, size, mode="nearest-exact")),
        "late": lambda s, z, fc, size: F.interpolate(fc(s), size) if z is None else R.first_map(s, z, fc, size),
        "batch_last": shrunk(nearest, read=lambda v, size: v.reshape(-1, *size, len(v)).movedim(3, 0)),
        "leaky": shrunk(nearest, end=lambda y: F.leaky_relu(y, 0.2)),
    },
    "run_blocks": {"first": end_doubled, "zeros": grown(spread)},
    "count_block": {
        "no_hidden_bias": counts(hidden_bias=0),
        "no_norm_s": counts(norm_s=False),
        "max": counts(max),
        "fout": counts(lambda fin, fout: fout),
        "not_shared": counts(shared=2),
        "no_shared": counts(shared=0),
        "affine": counts(extra=2),
        "no_spade_1": counts(second=False),
        "spade_3x3": counts(kernel=lambda k: 3),
        "all_kernel": counts(own=None),
        "no_square": counts(square=1),
    },
    "init_weights": {
        "no_gain": drawn(lambda g: 1.0),
        "squared": drawn(lambda g: g * g),
        "no_linear": drawn(kinds=(nn.Conv2d, nn.ConvTranspose2d)),
        "no_transposed": drawn(kinds=(nn.Conv2d, nn.Linear)),
        "children": drawn(where=nn.Module.children),
        "norms": drawn(also=(nn.BatchNorm2d,)),
    },
    "patch_discriminator": {
        "one_more": discriminator(more=1),
        "three": discriminator(verdict=3),
        "starts_wide": discriminator(first=2),
        "no_limit": discriminator(limit=10**6),
    },
    "perceptual": {
        "last_only": looked_at(near, lambda values: values[-1]),
        "sum": looked_at(lambda d: d.abs().sum()),
        "averaged": looked_at(near, lambda values: sum(values) / len(values)),
    },
    "spectral_norm_step": {"wrong_matrix": other_matrix},
    "feature_matching": {
        "pooled": lambda fake, real: sum(
            near(everything(f[:-1]) - everything(r[:-1]).detach()) for f, r in zip(fake, real)) / len(fake),
    },
    "discriminator_loss": {
        "real_detached": judged(real=lambda v: relu(1 - v.detach()).mean()),
        "rescaled": judged(painted=lambda y: y / 2 + 0.5),
        "shuffled": judged(shown=lambda s: torch.roll(s, 1, dims=3)),
        "same_sign": judged(fake=lambda v: relu(1 - v).mean()),
        "sign": judged(end=lambda r, f: -(r + f)),
        "minus": judged(end=lambda r, f: r - f),
        "unclipped": judged(lambda v: (1 - v).mean(), lambda v: (1 + v).mean()),
        "no_margin": judged(lambda v: relu(-v).mean(), lambda v: relu(v).mean()),
        "half": judged(end=lambda r, f: (r + f) / 2),
        "only_real": judged(end=lambda r, f: r),
        "only_fake": judged(end=lambda r, f: f),
        "sum": judged(lambda v: relu(1 - v).sum(), lambda v: relu(1 + v).sum()),
        "scales_summed": judged(join=sum),
        "one_scale": judged(join=lambda values: values[0]),
        "first_map": judged(of=lambda scale: scale[0]),
        "all_maps": judged(of=everything),
    },
    "update_average": {
        "buffers_copied": averaged_by(usual, buffers=lambda old, new: new),
        "counter_left": averaged_by(usual, counter=lambda old, new: old),
        "only_weights": averaged_by(usual, only="weight"),
        "plain_mean": averaged_by(lambda old, new, decay: (old + new) / 2),
        "no_decay": averaged_by(lambda old, new, decay: old + (1 - decay) * new),
        "fixed": averaged_by(lambda old, new, decay: usual(old, new, 0.999)),
        "wrong_one": the_other_one,
    },
    "feature_statistics": {
        "sum": statistics(divide=lambda n: 1),
        "transposed": lambda v: (v.double().mean(1), torch.cov(v.double())),
        "diagonal": statistics(lambda mean, cov: (mean, cov.diag().diag())),
        "square_rooted": statistics(lambda mean, cov: (mean, cov.sign() * cov.abs() ** 0.5)),
        "one_mean": statistics(lambda mean, cov: (mean.mean().repeat(len(mean)), cov)),
        "swapped": statistics(lambda mean, cov: (cov, mean)),
    },
    "update_statistics": {
        "covariance": lambda n, mean, scatter, b: (
            *R.update_statistics(n, mean, scatter, b)[:2],
            R.update_statistics(n, mean, scatter, b)[2] - b.T.cov(correction=0) * len(b) + b.T.cov()),
        "counts_one": lambda n, mean, scatter, b: (lambda m, total: (
            total, mean + (b.mean(0) - mean) * m / total,
            scatter + (b - b.mean(0)).T @ (b - b.mean(0)) + torch.outer(b.mean(0) - mean, b.mean(0) - mean)
            * n * m / total))(len(b), n + 1),
    },
    "confusion_matrix": {
        "by_prediction": tally(lambda p, t, k, void: (p != void) & (t >= 0) & (t < k)),
        "both": tally(lambda p, t, k, void: (t != void) & (p != void)),
        "fixed_255": counted_but_255,
        "high_unchecked": tally(wrong=lambda p, k: p < 0),
        "clamped": tally(wrong=nothing),
        "shares": tally(end=lambda c: c / c.sum().clamp(min=1)),
        "rows": tally(end=lambda c: c / c.sum(1, keepdim=True).clamp(min=1)),
        "void_first": tally(lambda p, t, k, void: (t != void) | ((p >= 0) & (p < k)),
                            lambda p, t, k, void: (p, t * (t != void))),
    },
    "mean_iou": {
        "no_hits": over_classes(lambda h, t, g: h / (t + g - 2 * h), lambda h, t, g: t + g > 0),
        "precision": over_classes(lambda h, t, g: h / g, lambda h, t, g: g > 0),
        "weighted": weighted,
        "without_first": lambda counts: iou(*hit(counts))[1:][(counts.sum(0) + counts.sum(1))[1:] > 0].mean().item(),
        "empty_0": over_classes(iou, end=lambda v: v.mean().item() if len(v) else 0.0),
    },
    "pixel_accuracy": {
        "by_prediction": accuracy(lambda p, t, void: (p == t) & (p != void), lambda p, t, void: p != void),
        "sum": lambda p, t, void: ((p == t) & (t != void)).sum().item(),
        "void_right": lambda p, t, void: ((p == t) | (t == void)).double().mean().item(),
    },
    "kl_divergence": {
        "log_deviation": divergence(lambda m, s: 1 + 2 * s - m**2 - (s.exp()) ** 2),
        "plus_mu": divergence(lambda m, s: 1 + s + m**2 - s.exp()),
        "plus_variance": divergence(lambda m, s: 1 + s - m**2 + s.exp()),
    },
    "reparameterise": {
        "no_half": scaled(lambda logvar: logvar.exp() ** 2),
        "unit": scaled(torch.ones_like),
        "one_draw": scaled(lambda logvar: (logvar / 2).exp(), lambda mu: torch.randn(1, mu.shape[1], dtype=mu.dtype)),
        "no_mean": scaled(lambda logvar: (logvar / 2).exp(), mean=0.0),
        "sigma_detached": scaled(lambda logvar: (logvar / 2).exp().detach()),
    },
    "instance_mean": {
        "by_picture": pooled(lambda v, x, k: v.sum(1, True) / x[0].numel()),
        "channels": pooled(lambda v, x, k: v.mean().expand(len(v), 1)),
        "first_pixel": pooled(lambda v, x, k: v[:, :1]),
        "median": pooled(lambda v, x, k: v.median(1, True)[0]),
        "removed": pooled(lambda v, x, k: v - v.mean(1, True)),
        "zero_left_out": pooled(lambda v, x, k: v.mean(1, True) * (k != 0)),
    },
    **{f"measure_{letter}": {"any_fault": any_fault, "between": undecided} for letter in "abcdef"},
    "audit": {"evaluation": lambda code: audit(code) | {"evaluation": False}},
}  # fmt: skip
REST["measure_a"]["reversed"] = lambda code: float(by_channel(code) < 0.01)
REST["measure_d"]["reversed"] = lambda code: seen(code, lambda m: float(((m != 0) & (m != 1)).float().mean() < 0.01))
WRONG = [(name, answer, KNOWN[name][fault]) for name, faults in REST.items() for fault, answer in faults.items()]
