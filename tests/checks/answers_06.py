"""Typical answers to the exercises of stage 06: wrong ones with what they are told, right ones in another style."""

from functools import partial

import torch
from torch import nn
from torch.nn import functional as F
from torch.nn.utils.parametrizations import spectral_norm

from spade_edu import losses
from spade_edu.checks.s06_gan_training import discriminator_loss, spectral_norm_step, update_average
from spade_edu.discriminators import PatchDiscriminator
from spade_edu.training import update_average as package_average


def mean_over(scales, value):
    return sum(value(scale[-1]) for scale in scales) / len(scales)


def matching(pair, last=-1, inner=sum):
    """Feature matching with a distance of a pair, and a way to join the layers."""
    return lambda fake, real: (
        sum(inner([pair(a, b) for a, b in zip(f[:last], r[:last])]) for f, r in zip(fake, real)) / len(fake)
    )


def step(fake_of, loss=losses.hinge_discriminator):
    return lambda G, D, segmap, real: loss(D(segmap, real), D(segmap, fake_of(G, segmap)))


def in_one_batch(G, D, segmap, real):
    fake = G(segmap).detach()
    both = D(torch.cat([segmap, segmap]), torch.cat([real, fake]))
    n = len(real)
    on_real, on_fake = ([[m[part] for m in scale] for scale in both] for part in (slice(n), slice(n, None)))
    return losses.hinge_discriminator(on_real, on_fake)


def all_without_gradient(G, D, segmap, real):
    with torch.no_grad():
        fake = G(segmap)
        on_fake = D(segmap, fake)
        on_real = D(segmap, real)
    return losses.hinge_discriminator(on_real, on_fake)


def fake_prediction_detached(G, D, segmap, real):
    on_fake = [[m.detach() for m in scale] for scale in D(segmap, G(segmap))]
    return losses.hinge_discriminator(D(segmap, real), on_fake)


def backward_inside(G, D, segmap, real):
    loss = discriminator_loss(G, D, segmap, real)
    loss.backward(retain_graph=True)
    return loss


def moves_discriminator(G, D, segmap, real):
    optimizer = torch.optim.SGD(D.parameters(), lr=0.1)
    loss = discriminator_loss(G, D, segmap, real)
    loss.backward()
    optimizer.step()
    return 3 * loss.detach() + 1


def spectral(weight, u, eps, normalise=F.normalize, track=False):
    W = weight.reshape(len(weight), -1)
    with torch.set_grad_enabled(track):
        v = normalise(W.t() @ u, dim=0, eps=eps)
        u = normalise(W @ v, dim=0, eps=eps)
    return weight / torch.dot(u, W @ v), u


def plus_eps(x, dim, eps):
    return x / (x.norm() + eps)


def exact(weight, u, eps):
    W = weight.flatten(1)
    return weight / torch.linalg.svdvals(W)[0], spectral_norm_step(weight, u, eps)[1]


def u_first(weight, u, eps):
    W = weight.flatten(1)
    with torch.no_grad():
        v = F.normalize(W.T @ u, dim=0, eps=eps)
    return weight / (u @ W @ v), u


@torch.no_grad()
def parameters_only(averaged, network, decay):
    for a, b in zip(averaged.parameters(), network.parameters()):
        a.mul_(decay).add_(b, alpha=1 - decay)
    return averaged


@torch.no_grad()
def reversed_decay(averaged, network, decay):
    return update_average(averaged, network, 1 - decay)


def loaded(averaged, network, decay):
    new = network.state_dict()
    mixed = {k: v * decay + new[k] * (1 - decay) for k, v in averaged.state_dict().items()}
    averaged.load_state_dict(mixed)
    return averaged


def loaded_right(averaged, network, decay):
    new, old = network.state_dict(), averaged.state_dict()
    averaged.load_state_dict({k: torch.lerp(new[k], v, decay) if v.is_floating_point() else new[k]
                              for k, v in old.items()})  # fmt: skip
    return averaged


def trained_changed(averaged, network, decay):
    update_average(network, averaged, decay)
    return averaged


def packaged(averaged, network, decay):
    package_average(averaged, network, decay)
    return averaged


def with_networks_as(prepare):
    """The right loss, after `prepare(generator)` has changed the generator for good."""

    def answer(generator, discriminator, segmap, real):
        prepare(generator)
        fake = generator(segmap).detach()
        return losses.hinge_discriminator(discriminator(segmap, real), discriminator(segmap, fake))

    return answer


def judged(pairs):
    """The hinge loss of D on pairs(segmap, real, fake): its arguments for the real half, and for the fake one."""

    def answer(generator, discriminator, segmap, real):
        on_real, on_fake = pairs(segmap, real, generator(segmap).detach())
        return losses.hinge_discriminator(discriminator(*on_real), discriminator(*on_fake))

    return answer


def power_step(steps=1, sigma_from="new", detached=True):
    def answer(weight, u, eps):
        matrix, old = weight.flatten(1), u
        fixed = matrix.detach() if detached else matrix
        for _ in range(steps):
            v = F.normalize(fixed.T @ u, dim=0, eps=eps)
            u = F.normalize(fixed @ v, dim=0, eps=eps)
        return weight / ((old if sigma_from == "old" else u) @ matrix @ v), u.detach()

    return answer


def predictions_matched(fake, real):
    return sum(F.l1_loss(f[-1], r[-1].detach()) for f, r in zip(fake, real)) / len(fake)


def names_rebound(averaged, network, decay):
    for p, q in zip(averaged.state_dict().values(), network.state_dict().values()):
        p = decay * p + (1 - decay) * q
    return averaged


def changed_without_no_grad(averaged, network, decay):
    for p, q in zip(averaged.parameters(), network.parameters()):
        p.mul_(decay).add_(q, alpha=1 - decay)
    return averaged


def patches(entry, last=lambda c: nn.Conv2d(c, 1, 4, padding=2), widths=lambda ndf, n: [ndf * 2**i for i in range(n)]):
    """A discriminator from entry(fin, fout, stride, number), at most 512 wide, and a last layer."""

    def answer(in_channels, ndf, num_layers):
        sizes = [in_channels, *(min(w, 512) for w in widths(ndf, num_layers))]
        pairs = list(zip(sizes, sizes[1:]))
        layers = [entry(a, b, 2 if i < len(pairs) else 1, i) for i, (a, b) in enumerate(pairs, start=1)]
        return nn.ModuleList([*layers, last(sizes[-1])])

    return answer


def entry(fin, fout, stride, number, padding=2, norm=nn.InstanceNorm2d, active=0.2, norms=lambda i: i > 1):
    layers = [nn.Conv2d(fin, fout, 4, stride=stride, padding=padding)] + ([norm(fout)] if norms(number) else [])
    return nn.Sequential(*layers, nn.LeakyReLU(active))


def from_package(in_channels, ndf, num_layers):
    network = PatchDiscriminator(in_channels, ndf=ndf, num_layers=num_layers, spectral=False, norm="none")
    for layer in network.layers[1:-1]:
        layer[1] = nn.InstanceNorm2d(layer[0].out_channels)
    return network.layers


class Entry(nn.Module):
    """An entry written as a module of its own."""

    def __init__(self, fin, fout, stride, number):
        super().__init__()
        self.conv, self.number = nn.Conv2d(fin, fout, 4, stride, bias=number == 1), number

    def forward(self, x):
        y = self.conv(F.pad(x, (2, 2, 2, 2)))
        return F.leaky_relu(y if self.number == 1 else F.instance_norm(y), 0.2)


def seen(features, weights, fake, real, distance=F.l1_loss, target=lambda r: r.detach()):
    return sum(w * distance(a, target(b)) for w, a, b in zip(weights, features(fake), features(real)))


def seen_in_a_loop(features, weights, fake, real):
    total = fake.new_zeros(())
    for i, weight in enumerate(weights):
        total = total + weight * (features(fake)[i] - features(real.detach())[i]).abs().mean()
    return total


WRONG = [
    ("perceptual", partial(seen, distance=F.mse_loss), "squared"),
    ("perceptual", partial(seen, target=lambda r: r), "carry a gradient"),
    ("perceptual", lambda f, w, a, b: seen(f, [1.0] * len(w), a, b), "weights aren't used"),
    ("perceptual", lambda f, w, a, b: F.l1_loss(a, b.detach()), "You compare pixels"),
    ("perceptual", lambda f, w, a, b: seen(f, w, a, b).detach(), "cut off"),
    ("patch_discriminator", patches(partial(entry, norms=lambda i: True)), "The first convolution has no norm"),
    ("patch_discriminator", patches(partial(entry, norms=lambda i: False)), "instance norms are missing"),
    ("patch_discriminator", patches(partial(entry, norm=nn.BatchNorm2d)), "You have batch norm"),
    ("patch_discriminator", patches(partial(entry, norm=partial(nn.InstanceNorm2d, affine=True))), "affine=True"),
    ("patch_discriminator", patches(partial(entry, norm=partial(nn.InstanceNorm2d, track_running_stats=True))), "eval"),
    ("patch_discriminator", patches(lambda *a: entry(*a).append(nn.Dropout())), "a random draw"),
    ("patch_discriminator", patches(partial(entry, active=0.01)), "slope is 0.01"),
    ("patch_discriminator", patches(partial(entry, padding=1), lambda c: nn.Conv2d(c, 1, 4, 1, 1)), "padding is 2"),
    ("patch_discriminator", patches(lambda a, b, s, i: entry(a, b, 2, i)), "before the verdict has stride 1"),
    ("patch_discriminator", patches(entry, lambda c: nn.Conv2d(c, 1, 4, 2, 2)), "to one channel, has stride 1"),
    ("patch_discriminator", patches(entry, lambda c: nn.Sequential(nn.Conv2d(c, 1, 4, 1, 2), nn.Sigmoid())), "sigmoid"),
    ("patch_discriminator", patches(entry, widths=lambda ndf, n: [ndf] * n), "twice the channels"),
    ("patch_discriminator", patches(entry, widths=lambda ndf, n: [ndf * 2**i for i in range(n - 1)]), "too few"),
    ("patch_discriminator", lambda c, ndf, n: patches(entry)(c, ndf, n)[:-1], "single channel, is missing"),
    ("patch_discriminator", lambda c, ndf, n: nn.ModuleList(m for e in [*patches(entry)(c, ndf, n)] for m in
                                                            (e if isinstance(e, nn.Sequential) else [e])),
     "put them together with nn.Sequential"),
    ("patch_discriminator", lambda c, ndf, n: nn.Conv2d(c, 1, 4), "one for each convolution"),
    ("patch_discriminator", lambda c, ndf, n: ["conv"] * (n + 1), "is no layer"),
    ("patch_discriminator", patches(lambda a, b, s, i: nn.Conv2d(b, b, 4)), "can't take a map of shape"),
    ("patch_discriminator", patches(lambda *a: spectral_norm(entry(*a)[0])), "Leave spectral"),
    ("discriminator_loss", with_networks_as(lambda g: g.requires_grad_(False)), "with requires_grad off"),
    ("discriminator_loss", with_networks_as(lambda g: g.eval()), "in eval mode"),
    ("discriminator_loss", judged(lambda s, real, fake: ((s, real), (s, real))), "real pictures are judged twice"),
    ("discriminator_loss", judged(lambda s, real, fake: ((s, fake), (s, fake))), "G's pictures are judged twice"),
    ("discriminator_loss", judged(lambda s, real, fake: ((real, s), (fake, s))), "arguments are exchanged"),
    ("spectral_norm_step", power_step(steps=2), "two steps"),
    ("spectral_norm_step", power_step(sigma_from="old"), "computed with the old u"),
    ("spectral_norm_step", power_step(detached=False), "not only on return"),
    ("update_average", names_rebound, "only gives the name p to a new tensor"),
    ("update_average", changed_without_no_grad, "Change weights under `with torch.no_grad():`"),
    ("hinge_generator", lambda fake: -fake[0][-1].abs().mean(), "The result is"),
    ("feature_matching", predictions_matched, "You compare the predictions"),
    ("hinge_generator", lambda fake: mean_over(fake, torch.mean), "wrong sign"),
    ("hinge_generator", lambda fake: mean_over(fake, lambda d: F.relu(1 - d).mean()), "discriminator's half"),
    ("hinge_generator", lambda fake: -sum(s[-1].mean() for s in fake), "scales are added up"),
    ("hinge_generator", lambda fake: -fake[0][-1].mean(), "Only the first scale"),
    ("hinge_generator", lambda fake: -torch.cat([s[-1].flatten() for s in fake]).mean(), "finest scale"),
    ("hinge_generator", lambda fake: mean_over(fake, lambda d: F.softplus(-d).mean()), "original GAN"),
    ("hinge_generator", lambda fake: -mean_over(fake, torch.mean).item(), "expected a tensor"),
    ("hinge_discriminator", lambda real, fake: losses.hinge_discriminator(fake, real), "swapped"),
    ("hinge_discriminator", lambda real, fake: losses.hinge_real(real) + losses.hinge_real(fake), "wrong sign"),
    ("hinge_discriminator", lambda real, fake: losses.hinge_discriminator(real, fake) / 2, "halved"),
    ("hinge_discriminator", lambda real, fake: losses.hinge_real(real), "half for the fake"),
    ("hinge_discriminator", lambda r, f: 2 - mean_over(r, torch.mean) + mean_over(f, torch.mean), "hinge is missing"),
    ("hinge_discriminator", lambda r, f: losses.lsgan(r, True) + losses.lsgan(f, False), "least-squares"),
    ("feature_matching", matching(F.l1_loss), "aren't detached"),
    ("feature_matching", matching(lambda a, b: F.l1_loss(a, b.detach()), None), "prediction takes part"),
    ("feature_matching", matching(lambda a, b: F.mse_loss(a, b.detach())), "squared"),
    ("feature_matching", matching(lambda a, b: F.l1_loss(a, b.detach()), inner=lambda v: sum(v) / len(v)), "averaged"),
    ("feature_matching", lambda f, r: len(f) * losses.feature_matching(f, r), "scales are added up"),
    ("feature_matching", lambda f, r: losses.feature_matching(r, f), "detached the fake's"),
    ("discriminator_loss", step(lambda G, s: G(s)), "fake wasn't detached in the D step"),
    ("discriminator_loss", all_without_gradient, "can't learn"),
    ("discriminator_loss", fake_prediction_detached, "Detach the picture"),
    ("discriminator_loss", step(lambda G, s: G(s).detach(), lambda r, f: losses.hinge_discriminator(f, r)), "swapped"),
    ("discriminator_loss", step(lambda G, s: G(s).data, lambda r, f: losses.hinge_generator(f)), "generator's loss"),
    ("discriminator_loss", backward_inside, "calls backward() itself"),
    ("discriminator_loss", moves_discriminator, ""),
    ("spectral_norm_step", lambda w, u, eps: spectral(w, u, eps, track=True), "carry a gradient"),
    ("spectral_norm_step", exact, "exact largest singular value"),
    ("spectral_norm_step", u_first, "u isn't updated"),
    ("spectral_norm_step", lambda w, u, eps: spectral(w, u, eps, plus_eps), "norm + eps"),
    ("spectral_norm_step", lambda w, u, eps: (spectral_norm_step(w, u, eps)[0], u), "old one is returned"),
    ("update_average", reversed_decay, "wrong way round"),
    ("update_average", parameters_only, "buffers aren't averaged"),
    ("update_average", loaded, "whole number"),
    ("update_average", trained_changed, ""),
    ("update_average", lambda a, b, d: b, "Return `averaged`"),
    ("update_average", lambda a, b, d: None, "returns nothing"),
]  # fmt: skip
RIGHT = [
    ("perceptual", seen_in_a_loop),
    ("perceptual", losses.perceptual),
    ("patch_discriminator", patches(Entry)),
    ("patch_discriminator", lambda *a: [*patches(partial(entry, norm=lambda c: nn.GroupNorm(c, c, affine=False)))(*a)]),
    ("patch_discriminator", lambda *a: nn.Sequential(*patches(entry)(*a))),
    ("patch_discriminator", from_package),
    ("hinge_generator", losses.hinge_generator),
    ("hinge_generator", lambda fake: -mean_over(fake, torch.mean)),
    ("hinge_discriminator", losses.hinge_discriminator),
    ("hinge_discriminator", lambda real, fake: mean_over(real, lambda d: (1 - d).clamp(min=0).mean()) + mean_over(
        fake, lambda d: torch.maximum(1 + d, torch.zeros_like(d)).mean())),
    ("feature_matching", losses.feature_matching),
    ("feature_matching", matching(lambda a, b: torch.mean(torch.abs(a - b.data)))),
    ("discriminator_loss", in_one_batch),
    ("discriminator_loss", step(lambda G, s: G(s).detach())),
    ("spectral_norm_step", spectral),
    ("update_average", loaded_right),
    ("update_average", packaged),
]  # fmt: skip
