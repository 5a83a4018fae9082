"""The published networks once more, written in our own words with torch's own parts, for the tests to compare with.

torch's hook-style spectral norm and BatchNorm2d are used, and the entries are called as in the official checkpoints, so
that `official.load_...(network.state_dict())` must give a network with the same outputs.
"""

import warnings

import torch
from torch import nn
from torch.nn import functional as F


def spectral(layer):
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", FutureWarning)
        return nn.utils.spectral_norm(layer)


def plain(layer):
    return layer


class Modulated(nn.Module):
    """SPADE."""

    def __init__(self, features, labels, kernel, norm):
        super().__init__()
        self.param_free_norm = (
            nn.InstanceNorm2d(features) if norm == "instance" else nn.BatchNorm2d(features, affine=False)
        )
        self.mlp_shared = nn.Sequential(nn.Conv2d(labels, 128, kernel, padding=kernel // 2), nn.ReLU())
        self.mlp_gamma = nn.Conv2d(128, features, kernel, padding=kernel // 2)
        self.mlp_beta = nn.Conv2d(128, features, kernel, padding=kernel // 2)

    def forward(self, h, mask):
        hidden = self.mlp_shared(F.interpolate(mask, size=h.shape[2:], mode="nearest"))
        return self.param_free_norm(h) * (1 + self.mlp_gamma(hidden)) + self.mlp_beta(hidden)


class Block(nn.Module):
    def __init__(self, fin, fout, labels, kernel, norm, wrap):
        super().__init__()
        middle = min(fin, fout)
        self.conv_0 = wrap(nn.Conv2d(fin, middle, 3, padding=1))
        self.conv_1 = wrap(nn.Conv2d(middle, fout, 3, padding=1))
        self.norm_0, self.norm_1 = Modulated(fin, labels, kernel, norm), Modulated(middle, labels, kernel, norm)
        if fin != fout:
            self.conv_s = wrap(nn.Conv2d(fin, fout, 1, bias=False))
            self.norm_s = Modulated(fin, labels, kernel, norm)

    def forward(self, h, mask):
        skip = self.conv_s(self.norm_s(h, mask)) if hasattr(self, "conv_s") else h
        for norm, conv in ((self.norm_0, self.conv_0), (self.norm_1, self.conv_1)):
            h = conv(F.leaky_relu(norm(h, mask), 0.2))
        return skip + h


class HookedGenerator(nn.Module):
    """plan: 'normal', 'more' or 'most'; start: (height, width) of the first map; z_dim: None without VAE."""

    def __init__(self, labels, nf, start, plan="normal", z_dim=None, kernel=3, norm="batch", wrap=spectral):
        super().__init__()
        self.start, self.plan, self.nf = start, plan, nf
        self.fc = nn.Linear(z_dim, 16 * nf * start[0] * start[1]) if z_dim else nn.Conv2d(labels, 16 * nf, 3, padding=1)
        widths = [16, 16, 16, 16, 8, 4, 2, 1] + [0.5] * (plan == "most")
        names = ["head_0", "G_middle_0", "G_middle_1", "up_0", "up_1", "up_2", "up_3", "up_4"]
        for name, fin, fout in zip(names, widths, widths[1:]):
            self.add_module(name, Block(int(fin * nf), int(fout * nf), labels, kernel, norm, wrap))
        self.names = names[: len(widths) - 1]
        self.conv_img = nn.Conv2d(int(widths[-1] * nf), 3, 3, padding=1)

    def forward(self, mask, z=None):
        if isinstance(self.fc, nn.Linear):
            h = self.fc(z).view(len(mask), 16 * self.nf, *self.start)
        else:
            h = self.fc(F.interpolate(mask, size=self.start, mode="nearest"))
        for name in self.names:
            if name != "head_0" and (name != "G_middle_1" or self.plan != "normal"):
                h = F.interpolate(h, scale_factor=2, mode="nearest")
            h = getattr(self, name)(h, mask)
        return torch.tanh(self.conv_img(F.leaky_relu(h, 0.2)))


class Patch(nn.Module):
    def __init__(self, channels, ndf, layers):
        super().__init__()
        self.model0 = nn.Sequential(nn.Conv2d(channels, ndf, 4, stride=2, padding=2), nn.LeakyReLU(0.2))
        width = ndf
        for n in range(1, layers):
            before, width = width, min(2 * width, 512)
            conv = nn.Conv2d(before, width, 4, stride=1 if n == layers - 1 else 2, padding=2, bias=False)
            normed = nn.Sequential(spectral(conv), nn.InstanceNorm2d(width))
            self.add_module(f"model{n}", nn.Sequential(normed, nn.LeakyReLU(0.2)))
        self.add_module(f"model{layers}", nn.Sequential(nn.Conv2d(width, 1, 4, stride=1, padding=2)))

    def forward(self, x):
        maps = []
        for part in self.children():
            maps.append(part(maps[-1] if maps else x))
        return maps


class HookedDiscriminator(nn.Module):
    def __init__(self, labels, ndf, scales=2, layers=4):
        super().__init__()
        for scale in range(scales):
            self.add_module(f"discriminator_{scale}", Patch(labels + 3, ndf, layers))

    def forward(self, x):
        results = []
        for patch in self.children():
            results.append(patch(x))
            x = F.avg_pool2d(x, 3, stride=2, padding=1, count_include_pad=False)
        return results


class HookedEncoder(nn.Module):
    def __init__(self, nf, z_dim):
        super().__init__()
        widths = [3, nf, 2 * nf, 4 * nf, 8 * nf, 8 * nf, 8 * nf]
        for i, (fin, fout) in enumerate(zip(widths, widths[1:]), start=1):
            conv = spectral(nn.Conv2d(fin, fout, 3, stride=2, padding=1, bias=False))
            self.add_module(f"layer{i}", nn.Sequential(conv, nn.InstanceNorm2d(fout)))
        self.fc_mu, self.fc_var = nn.Linear(8 * nf * 16, z_dim), nn.Linear(8 * nf * 16, z_dim)

    def forward(self, image):
        h = F.interpolate(image, size=(256, 256), mode="bilinear")
        for i in range(1, 7):
            h = F.leaky_relu(getattr(self, f"layer{i}")(h), 0.2)
        h = h.reshape(len(h), -1)
        return self.fc_mu(h), self.fc_var(h)


def randomise(network, std=None):
    """Glorot with gain 0.02 as published, or a normal of the given deviation that makes every part matter."""
    for layer in network.modules():
        if isinstance(layer, nn.Conv2d | nn.Linear):
            weight = getattr(layer, "weight_orig", layer.weight)
            if std is None:
                nn.init.xavier_normal_(weight.data, gain=0.02)
            else:
                nn.init.normal_(weight.data, std=std)
            if layer.bias is not None:
                nn.init.normal_(layer.bias.data, std=std or 0.0) if std else nn.init.zeros_(layer.bias.data)
    return network
