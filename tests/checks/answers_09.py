"""Typical answers to the exercises of stage 09: wrong ones with what they are told, right ones in another style."""

from itertools import combinations, product

import torch
from torch.nn import functional as F

from spade_edu import losses
from spade_edu.generators import instance_features


def kl(terms, reduce=torch.sum, factor=-0.5):
    return lambda mu, logvar: factor * reduce(terms(mu, logvar))


def terms(mu, logvar):
    return 1 + logvar - mu**2 - torch.exp(logvar)


def by_distribution(mu, logvar):
    normal = torch.distributions.Normal
    return torch.distributions.kl_divergence(normal(mu, (0.5 * logvar).exp()), normal(0.0, 1.0)).sum()


def pooled(mask_of, value=lambda pixels: pixels.mean(1), detach=False):
    def answer(x, instance):
        y = torch.zeros_like(x)
        for i in range(len(x)):
            for k in instance[i].unique():
                mask = mask_of(instance, i, k)
                pixels = x[i][:, mask]
                y[i][:, mask] = value(pixels.detach() if detach else pixels)[:, None]
        return y

    return answer


def own_mask(instance, i, k):
    return instance[i] == k


def ids_across_pictures(x, instance):
    y = torch.zeros_like(x)
    for k in instance.unique():
        mask = (instance == k)[:, None]
        y = y + mask * (x * mask).sum((0, 2, 3), keepdim=True) / mask.sum()
    return y


def up_to_highest_id(x, instance):
    y = torch.zeros_like(x)
    for i in range(len(x)):
        for k in range(int(instance[i].max()) + 1):
            mask = instance[i] == k
            if mask.any():
                y[i][:, mask] = x[i][:, mask].mean(1, keepdim=True)
    return y


def by_one_hot(x, instance):
    result = []
    for picture, ids in zip(x, instance):
        hot = F.one_hot(ids.unique(return_inverse=True)[1]).flatten(0, 1).to(x.dtype)  # (pixels, instances)
        result.append(((picture.flatten(1) @ hot / hot.sum(0)) @ hot.T).view_as(picture))
    return torch.stack(result)


def apart(pair, join=lambda v: torch.stack(v).mean(), pairs=lambda s: combinations(s, 2)):
    return lambda samples: join([pair(a, b) for a, b in pairs(samples)])


def by_matrix(samples):
    k, flat = len(samples), samples.flatten(1)
    differences = (flat[:, None] - flat[None]).abs().mean(2)
    return differences.sum() / (k * (k - 1))


def styled(z_of):
    def answer(generator, encoder, segmap, image):
        z = z_of(*encoder(image))
        return generator(segmap, z.repeat(len(segmap), 1))

    return answer


def one_by_one(generator, encoder, segmap, image):
    with torch.no_grad():
        z = encoder(image)[0]
        return torch.cat([generator(s[None], z) for s in segmap])


def over_objects(kept=lambda number: False, ids=lambda instance: instance):
    """Each object's mean, but for the objects that are left as they are."""

    def answer(x, instance):
        y, instance = x.clone(), ids(instance)
        for i in range(len(x)):
            for number in instance[i].unique().tolist():
                mask = instance[i] == number
                if not kept(number):
                    y[i, :, mask] = x[i, :, mask].mean(1, keepdim=True)
        return y

    return answer


WRONG = [
    ("instance_mean", over_objects(lambda number: number == 0), "pixels of instance 0 are left"),
    ("instance_mean", over_objects(lambda number: number == 255), "pixels of id 255 are left"),
    ("instance_mean", over_objects(lambda number: number < 0), "pixels of negative ids are left"),
    ("instance_mean", over_objects(ids=lambda instance: instance.byte()), "cut to 8 bits"),
    (
        "diversity",
        lambda s: torch.stack([(a - b).square().mean().sqrt() for a, b in combinations(s, 2)]).mean(),
        "mean square",
    ),
    ("diversity", lambda s: (s[0] - s[1]).abs().mean(), "Only the first two samples"),
    ("transfer_style", lambda g, e, segmap, image: g(segmap, e(image)[0]), "it needs one code each"),
    ("kl_divergence", kl(terms, torch.mean), "You take the mean"),
    ("kl_divergence", kl(terms, lambda t: t.sum(1).mean()), "average over the batch"),
    ("kl_divergence", kl(terms, factor=0.5), "sign"),
    ("kl_divergence", kl(terms, factor=-1.0), "1/2 is missing"),
    ("kl_divergence", kl(lambda mu, v: v - mu**2 - v.exp()), "1 is missing"),
    ("kl_divergence", kl(lambda mu, v: 1 + v - mu**2 - torch.exp(0.5 * v)), "deviation"),
    ("kl_divergence", kl(terms, lambda t: t.sum(1)), "has shape"),
    ("instance_mean", ids_across_pictures, "different pictures share one mean"),
    ("instance_mean", pooled(own_mask, lambda v: v.amax(1)), "maximum"),
    ("instance_mean", pooled(own_mask, lambda v: v.sum(1)), "divide by their number"),
    ("instance_mean", pooled(lambda ids, i, k: torch.ones_like(ids[i], dtype=torch.bool)), "whole picture"),
    ("instance_mean", pooled(own_mask, detach=True), "cut off from the gradient"),
    ("instance_mean", up_to_highest_id, ""),
    ("diversity", apart(lambda a, b: (a - b).abs().mean(), pairs=lambda s: product(s, s)), "with itself"),
    ("diversity", apart(lambda a, b: (a - b).abs().sum()), "pixels are added up"),
    ("diversity", apart(F.mse_loss), "squared"),
    ("diversity", apart(lambda a, b: (a - b).mean()), "keep their sign"),
    ("diversity", lambda s: s.std(0).mean(), "standard deviation"),
    ("diversity", apart(F.l1_loss, sum), "pairs are added up"),
    ("transfer_style", styled(lambda mu, v: v), "log-variance"),
    ("transfer_style", styled(lambda mu, v: mu + torch.randn_like(mu) * (v / 2).exp()), "random draw"),
    ("transfer_style", styled(lambda mu, v: torch.zeros_like(mu)), "no effect"),
    ("transfer_style", lambda G, E, s, x: G(s[:1], E(x)[0]), "Only the first label map"),
    ("transfer_style", lambda G, E, s, x: G(s, E(x)), "stops with"),
]
RIGHT = [
    ("kl_divergence", losses.kl_divergence),
    ("kl_divergence", by_distribution),
    ("instance_mean", pooled(own_mask)),
    ("instance_mean", by_one_hot),
    ("instance_mean", instance_features.instance_mean),
    ("diversity", apart(F.l1_loss)),
    ("diversity", by_matrix),
    ("transfer_style", styled(lambda mu, logvar: mu)),
    ("transfer_style", one_by_one),
]


def by_distribution(mu, logvar):
    return torch.distributions.Normal(mu, logvar.exp().sqrt()).rsample()


RIGHT += [
    ("reparameterise", by_distribution),
    ("reparameterise", lambda m, v: torch.randn(m.shape).to(m) * (v / 2).exp() + m),
]
WRONG += [
    ("reparameterise", lambda m, v: m + v.exp() * torch.randn_like(m), "multiplied by the variance"),
    ("reparameterise", lambda m, v: m + v * torch.randn_like(m), "multiplied by logvar"),
    ("reparameterise", lambda m, v: torch.distributions.Normal(m, (v / 2).exp()).sample(), "No gradient flows back"),
    ("reparameterise", lambda m, v: m, "Nothing is drawn"),
    ("reparameterise", lambda m, v: m + (v / 2).exp() * torch.rand_like(m), "uniform"),
    ("reparameterise", lambda m, v: m + 3 * (v / 2).exp() * torch.randn_like(m), "expected"),  # a draw is no fault here
]
