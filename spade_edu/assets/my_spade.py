"""SPADE in one file (Park et al. 2019): label maps, norms, networks, losses, training, scores.

`python my_spade.py` builds each network for a 64x128 map of Cityscapes' 36 channels and prints sizes and shapes.
"""

import math

import torch
from torch import nn
from torch.nn import functional as F

# --- 00: label maps ---


def one_hot(label, num_classes):
    """Ids (n, h, w) to channels of 0 and 1, (n, num_classes + 1, h, w); the last channel is for 255, "unknown"."""
    ids = torch.where(label == 255, num_classes, label.long())
    channels = torch.arange(num_classes + 1, device=label.device)
    return (ids[:, None] == channels[:, None, None]).float()


def instance_edges(instance):
    """1 where a pixel's instance id differs from one of its four neighbours': (n, h, w) to (n, 1, h, w)."""
    edges = torch.zeros_like(instance, dtype=torch.bool)
    beside = instance[:, :, 1:] != instance[:, :, :-1]
    above = instance[:, 1:] != instance[:, :-1]
    # Both sides of a border are marked, and nothing wraps around at the rim.
    edges[:, :, 1:] |= beside
    edges[:, :, :-1] |= beside
    edges[:, 1:] |= above
    edges[:, :-1] |= above
    return edges[:, None].float()


# --- 01: norms ---


class BatchNorm2d(nn.Module):
    """y = gamma_c (x - mean_c) / sqrt(var_c + eps) + beta_c, with mean and variance over batch and pixels."""

    def __init__(self, num_features, affine=True, eps=1e-5, momentum=0.1):
        super().__init__()
        self.eps, self.momentum = eps, momentum
        self.weight = nn.Parameter(torch.ones(num_features)) if affine else None
        self.bias = nn.Parameter(torch.zeros(num_features)) if affine else None
        # Buffers, not parameters: they are stored with the weights, but no gradient moves them.
        self.register_buffer("running_mean", torch.zeros(num_features))
        self.register_buffer("running_var", torch.ones(num_features))

    def forward(self, x):
        mean, variance = self.running_mean, self.running_var
        if self.training:
            mean = x.mean(dim=(0, 2, 3))
            variance = (x - mean[:, None, None]).square().mean(dim=(0, 2, 3))
            count = x.numel() // x.shape[1]
            self.running_mean.lerp_(mean.detach(), self.momentum)
            # A batch's variance is too small on average by (n - 1) / n; the running one is made up for it.
            self.running_var.lerp_(variance.detach() * count / (count - 1), self.momentum)
        y = (x - mean[:, None, None]) / torch.sqrt(variance[:, None, None] + self.eps)
        if self.weight is None:
            return y
        return y * self.weight[:, None, None] + self.bias[:, None, None]


class InstanceNorm2d(nn.Module):
    """y = (x - mean_nc) / sqrt(var_nc + eps), over the pixels of one channel of one picture; nothing is learned."""

    def __init__(self, num_features, eps=1e-5):
        super().__init__()
        self.num_features, self.eps = num_features, eps

    def forward(self, x):
        mean = x.mean(dim=(2, 3), keepdim=True)
        variance = (x - mean).square().mean(dim=(2, 3), keepdim=True)
        return (x - mean) / torch.sqrt(variance + self.eps)


# --- 02: pix2pixHD, the generator to beat ---


class ResnetBlock(nn.Module):
    """y = x + norm(conv(relu(norm(conv(x))))), both convolutions 3x3 behind reflection padding."""

    def __init__(self, channels):
        super().__init__()
        self.layers = nn.Sequential(
            nn.ReflectionPad2d(1),  # zeros would tell a uniform map's rim from its middle
            nn.Conv2d(channels, channels, 3),
            InstanceNorm2d(channels),
            nn.ReLU(),
            nn.ReflectionPad2d(1),
            nn.Conv2d(channels, channels, 3),
            InstanceNorm2d(channels),
        )

    def forward(self, x):
        return x + self.layers(x)


class Pix2PixHDGenerator(nn.Module):
    """The label map goes in once, at the bottom: an encoder, residual blocks, a decoder; a norm after every layer."""

    def __init__(self, label_channels, ngf=64, num_downsampling=4, num_blocks=9):
        super().__init__()
        widths = [ngf * 2**i for i in range(num_downsampling + 1)]
        layers = [nn.ReflectionPad2d(3), *self.layer(nn.Conv2d(label_channels, ngf, 7), ngf)]
        for fin, fout in zip(widths, widths[1:]):
            layers += self.layer(nn.Conv2d(fin, fout, 3, stride=2, padding=1), fout)
        layers += [ResnetBlock(widths[-1]) for _ in range(num_blocks)]
        for fin, fout in zip(widths[:0:-1], widths[-2::-1]):
            # output_padding: without it the doubled size would be one short.
            layers += self.layer(nn.ConvTranspose2d(fin, fout, 3, stride=2, padding=1, output_padding=1), fout)
        layers += [nn.ReflectionPad2d(3), nn.Conv2d(ngf, 3, 7), nn.Tanh()]
        self.layers = nn.Sequential(*layers)

    def layer(self, conv, channels):
        return [conv, InstanceNorm2d(channels), nn.ReLU()]

    def forward(self, segmap, z=None):
        return self.layers(segmap)  # z is for SPADE: both generators are called alike


# --- 03: the SPADE layer ---


class SPADE(nn.Module):
    """y = (1 + gamma(segmap)) norm(x) + beta(segmap): scale and shift of every pixel come from the label map."""

    def __init__(self, num_features, label_channels, hidden_channels=128):
        super().__init__()
        self.norm = BatchNorm2d(num_features, affine=False)
        self.shared = nn.Conv2d(label_channels, hidden_channels, 3, padding=1)
        self.gamma = nn.Conv2d(hidden_channels, num_features, 3, padding=1)
        self.beta = nn.Conv2d(hidden_channels, num_features, 3, padding=1)

    def forward(self, x, segmap):
        # Nearest: a pixel keeps one class. Bilinear would invent mixtures of classes.
        segmap = F.interpolate(segmap, size=x.shape[-2:], mode="nearest")
        hidden = F.relu(self.shared(segmap))
        # The 1: weights near zero then make a plain norm, which is where training starts.
        return (1 + self.gamma(hidden)) * self.norm(x) + self.beta(hidden)


# --- 05: the SPADE generator ---


class SPADEResnetBlock(nn.Module):
    """y = conv_1(a(norm_1(conv_0(a(norm_0(x)))))) + skip(x), a = LeakyReLU 0.2, skip = x or conv_s(norm_s(x)).

    conv: the class of the block's own convolutions; stage 06 puts SpectralConv2d in its place. SPADE's stay plain.
    """

    def __init__(self, fin, fout, label_channels, hidden_channels=128, conv=nn.Conv2d):
        super().__init__()
        middle = min(fin, fout)
        self.norm_0 = SPADE(fin, label_channels, hidden_channels)
        self.conv_0 = conv(fin, middle, 3, padding=1)
        self.norm_1 = SPADE(middle, label_channels, hidden_channels)
        self.conv_1 = conv(middle, fout, 3, padding=1)
        self.learned_skip = fin != fout
        if self.learned_skip:
            self.norm_s = SPADE(fin, label_channels, hidden_channels)
            self.conv_s = conv(fin, fout, 1, bias=False)

    def forward(self, x, segmap):
        skip = self.conv_s(self.norm_s(x, segmap)) if self.learned_skip else x
        x = self.conv_0(F.leaky_relu(self.norm_0(x, segmap), 0.2))
        x = self.conv_1(F.leaky_relu(self.norm_1(x, segmap), 0.2))
        return skip + x


class SPADEGenerator(nn.Module):
    """A decoder that is told the label map at every layer: (n, label_channels, 32 h, 32 w) to a picture in [-1, 1].

    latent: (h, w), the size of the first map. z_dim: how long a style code z is; None: the map starts from the labels.
    """

    PLAN = (16, 16, 16, 16, 8, 4, 2, 1)  # widths before, between and after the seven blocks, in units of ngf

    def __init__(self, label_channels, latent, ngf=64, z_dim=None, hidden_channels=128, conv=nn.Conv2d):
        super().__init__()
        self.label_channels, self.latent, self.z_dim = label_channels, latent, z_dim
        widths = [ngf * factor for factor in self.PLAN]
        if z_dim is None:
            self.fc = nn.Conv2d(label_channels, widths[0], 3, padding=1)
        else:
            self.fc = nn.Linear(z_dim, widths[0] * latent[0] * latent[1])
        blocks = [self.make_block(fin, fout, hidden_channels, conv) for fin, fout in zip(widths, widths[1:])]
        self.blocks = nn.ModuleList(blocks)
        self.to_picture = nn.Conv2d(widths[-1], 3, 3, padding=1)

    def make_block(self, fin, fout, hidden_channels, conv):
        return SPADEResnetBlock(fin, fout, self.label_channels, hidden_channels, conv)

    def forward(self, segmap, z=None):
        x = self.first_map(segmap, z)
        for i, block in enumerate(self.blocks):
            if i not in (0, 2):  # five doublings for seven blocks
                x = F.interpolate(x, scale_factor=2, mode="nearest")
            x = block(x, segmap)
        # No block ends with an activation, so one is due here; tanh brings the colours into [-1, 1].
        return torch.tanh(self.to_picture(F.leaky_relu(x, 0.2)))

    def first_map(self, segmap, z):
        if self.z_dim is None:
            return self.fc(F.interpolate(segmap, size=self.latent, mode="nearest"))
        if z is None:
            z = torch.randn(len(segmap), self.z_dim, device=segmap.device)
        return self.fc(z).view(len(segmap), -1, *self.latent)


def init_weights(network, gain=0.02):
    """Glorot normal on every convolution and linear layer, biases 0."""
    for layer in network.modules():
        if isinstance(layer, nn.Conv2d | nn.ConvTranspose2d | nn.Linear):
            nn.init.xavier_normal_(layer.weight, gain=gain)
            if layer.bias is not None:
                nn.init.zeros_(layer.bias)
    return network


# --- 06: the discriminator and GAN training ---


class SpectralConv2d(nn.Conv2d):
    """A convolution by weight / sigma, sigma the largest singular value of the weight as a matrix (a row an output)."""

    def __init__(self, fin, fout, kernel_size, stride=1, padding=0, bias=True):
        super().__init__(fin, fout, kernel_size, stride, padding, bias=bias)
        self.register_buffer("u", F.normalize(torch.randn(fout), dim=0))
        self.register_buffer("v", F.normalize(torch.randn(self.weight[0].numel()), dim=0))

    def forward(self, x):
        matrix = self.weight.flatten(1)
        if self.training:
            # One step a call is enough: the weight moves little between two steps of training.
            with torch.no_grad():
                self.v.copy_(F.normalize(matrix.T @ self.u, dim=0))
                self.u.copy_(F.normalize(matrix @ self.v, dim=0))
        # Copies: the next call changes u and v, maybe before this call's backward pass has run.
        sigma = self.u.clone() @ (matrix @ self.v.clone())
        return F.conv2d(x, self.weight / sigma, self.bias, self.stride, self.padding)


class PatchDiscriminator(nn.Module):
    """(n, in_channels, h, w) to the list of every layer's features; the last, one channel, judges patch by patch."""

    def __init__(self, in_channels, ndf=64, num_layers=4):
        super().__init__()
        widths = [min(ndf * 2**i, 512) for i in range(num_layers)]
        # No norm on the first and the last: the first would lose the colours, the last its verdict.
        layers = [nn.Sequential(nn.Conv2d(in_channels, ndf, 4, stride=2, padding=2), nn.LeakyReLU(0.2))]
        for i, (fin, fout) in enumerate(zip(widths, widths[1:]), start=2):
            stride = 1 if i == num_layers else 2
            conv = SpectralConv2d(fin, fout, 4, stride=stride, padding=2, bias=False)  # the norm would cancel a bias
            layers.append(nn.Sequential(conv, InstanceNorm2d(fout), nn.LeakyReLU(0.2)))
        layers.append(nn.Conv2d(widths[-1], 1, 4, padding=2))
        self.layers = nn.ModuleList(layers)

    def forward(self, x):
        features = []
        for layer in self.layers:
            x = layer(x)
            features.append(x)
        return features


class MultiScaleDiscriminator(nn.Module):
    """D(segmap, image) to one list of features a scale, finest first; every scale has weights of its own."""

    def __init__(self, label_channels, ndf=64, num_scales=2, num_layers=4):
        super().__init__()
        in_channels = label_channels + 3
        self.scales = nn.ModuleList(PatchDiscriminator(in_channels, ndf, num_layers) for _ in range(num_scales))

    def forward(self, segmap, image):
        x = torch.cat([segmap, image], dim=1)
        results = []
        for scale in self.scales:
            results.append(scale(x))
            x = F.avg_pool2d(x, 3, stride=2, padding=1, count_include_pad=False)
        return results


def hinge_generator(fake):
    """-mean D(fake), averaged over the scales. fake, real: what D returns."""
    return torch.stack([-scale[-1].mean() for scale in fake]).mean()


def hinge_discriminator(real, fake):
    """mean relu(1 - D(real)) + mean relu(1 + D(fake)), averaged over the scales: zero beyond 1 and -1."""
    on_real = torch.stack([F.relu(1 - scale[-1]).mean() for scale in real]).mean()
    on_fake = torch.stack([F.relu(1 + scale[-1]).mean() for scale in fake]).mean()
    return on_real + on_fake


def feature_matching(fake, real):
    """Mean |D's features of fake - of real|, summed over layers but the verdict, averaged over the scales."""
    losses = []
    for on_fake, on_real in zip(fake, real):
        pairs = zip(on_fake[:-1], on_real[:-1])
        losses.append(sum(F.l1_loss(a, b.detach()) for a, b in pairs))  # the fake is to move, not the real one
    return torch.stack(losses).mean()


def perceptual(features, weights, fake, real):
    """sum_i weights_i mean |features_i(fake) - features_i(real)|, in the eyes of a network that has seen pictures."""
    with torch.no_grad():
        targets = features(real)
    return sum(weight * F.l1_loss(a, b) for weight, a, b in zip(weights, features(fake), targets))


def make_optimizers(generator, discriminator, encoder=None, lr=2e-4):
    """Two Adams at two time scales: D learns four times as fast as G (and the style encoder)."""
    painters = list(generator.parameters()) + (list(encoder.parameters()) if encoder else [])
    optimizer_g = torch.optim.Adam(painters, lr / 2, betas=(0.0, 0.9))
    optimizer_d = torch.optim.Adam(discriminator.parameters(), lr * 2, betas=(0.0, 0.9))
    return optimizer_g, optimizer_d


def generate(batch, generator, encoder=None):
    """A picture for each label map, with an encoder in the real one's style; and that style's mu and logvar."""
    if encoder is None:
        return generator(batch["segmap"]), None, None
    mu, logvar = encoder(batch["image"])
    return generator(batch["segmap"], reparameterise(mu, logvar)), mu, logvar


def judge(discriminator, segmap, fake, real):
    """D on fake and real pictures, in one batch: so nothing but the pictures tells the two apart."""
    both = discriminator(torch.cat([segmap, segmap]), torch.cat([fake, real]))
    halves = [[feature.chunk(2) for feature in scale] for scale in both]
    return [[half[0] for half in scale] for scale in halves], [[half[1] for half in scale] for scale in halves]


def generator_step(batch, generator, discriminator, optimizer, encoder=None, features=None, weights=()):
    """Move G (and E) once: D takes the fake for real, its features match, the style code stays near N(0, 1)."""
    fake, mu, logvar = generate(batch, generator, encoder)
    discriminator.requires_grad_(False)  # gradients pass through D, but it doesn't need any of its own
    on_fake, on_real = judge(discriminator, batch["segmap"], fake, batch["image"])
    losses = {"GAN": hinge_generator(on_fake), "GAN_Feat": 10 * feature_matching(on_fake, on_real)}
    if features is not None:
        losses["VGG"] = 10 * perceptual(features, weights, fake, batch["image"])
    if encoder is not None:
        losses["KLD"] = 0.05 * kl_divergence(mu, logvar)
    optimizer.zero_grad()
    sum(losses.values()).backward()
    optimizer.step()
    discriminator.requires_grad_(True)
    return {name: loss.detach() for name, loss in losses.items()}


def discriminator_step(batch, generator, discriminator, optimizer, encoder=None):
    """Move D once, so that it tells the real pictures from what G paints now."""
    with torch.no_grad():  # G isn't to learn from this
        fake, _, _ = generate(batch, generator, encoder)
    on_fake, on_real = judge(discriminator, batch["segmap"], fake, batch["image"])
    loss = hinge_discriminator(on_real, on_fake)
    optimizer.zero_grad()
    loss.backward()
    optimizer.step()
    return {"D": loss.detach()}


def train(batches, generator, discriminator, optimizers, encoder=None, features=None, weights=()):
    """One generator step and one discriminator step for each batch; gives the losses of each, as they come."""
    optimizer_g, optimizer_d = optimizers
    for batch in batches:
        generator.train()
        losses = generator_step(batch, generator, discriminator, optimizer_g, encoder, features, weights)
        losses |= discriminator_step(batch, generator, discriminator, optimizer_d, encoder)
        yield {name: loss.item() for name, loss in losses.items()}


# --- 07: scores ---


def confusion_matrix(prediction, target, num_classes, ignored):
    """counts[t, p]: pixels of class t that were called p; where target == ignored nothing counts."""
    counted = target != ignored
    target, prediction = target[counted].long(), prediction[counted].long()
    if ((prediction < 0) | (prediction >= num_classes)).any():
        raise ValueError("A prediction is outside of the classes.")
    pairs = torch.bincount(target * num_classes + prediction, minlength=num_classes**2)
    return pairs.view(num_classes, num_classes)


def mean_iou(counts):
    """Mean of hits / (in the target + predicted - hits) over the classes that occur in target or prediction."""
    hits = counts.diagonal().double()
    union = counts.sum(1) + counts.sum(0) - hits
    return (hits / union)[union > 0].mean().item()


def frechet_distance(mu1, cov1, mu2, cov2):
    """|mu1 - mu2|^2 + tr(C1 + C2 - 2 (C1^1/2 C2 C1^1/2)^1/2), in float64, for covariances that may be singular."""
    values, vectors = torch.linalg.eigh(cov1)
    root = vectors * values.clamp(min=0).sqrt() @ vectors.T  # rounding makes some values a little negative
    overlap = torch.linalg.eigvalsh(root @ cov2 @ root).clamp(min=0).sqrt().sum()
    return float((mu1 - mu2).square().sum() + cov1.trace() + cov2.trace() - 2 * overlap)


# --- 08: the Concat variant ---


class ConcatResnetBlock(nn.Module):
    """SPADE's block without SPADE: batch norm with gamma and beta, the label map beside each convolution's input."""

    def __init__(self, fin, fout, label_channels, conv=nn.Conv2d):
        super().__init__()
        middle = min(fin, fout)
        self.norm_0 = BatchNorm2d(fin)
        self.conv_0 = conv(fin + label_channels, middle, 3, padding=1)
        self.norm_1 = BatchNorm2d(middle)
        self.conv_1 = conv(middle + label_channels, fout, 3, padding=1)
        self.learned_skip = fin != fout
        if self.learned_skip:
            self.norm_s = BatchNorm2d(fin)
            self.conv_s = conv(fin + label_channels, fout, 1, bias=False)

    def forward(self, x, segmap):
        segmap = F.interpolate(segmap, size=x.shape[-2:], mode="nearest")
        skip = self.conv_s(torch.cat([self.norm_s(x), segmap], dim=1)) if self.learned_skip else x
        x = self.conv_0(torch.cat([F.leaky_relu(self.norm_0(x), 0.2), segmap], dim=1))
        x = self.conv_1(torch.cat([F.leaky_relu(self.norm_1(x), 0.2), segmap], dim=1))
        return skip + x


class ConcatGenerator(SPADEGenerator):
    """SPADE's generator with concatenation in SPADE's place: the variant that Table 3 holds against it."""

    def make_block(self, fin, fout, hidden_channels, conv):
        return ConcatResnetBlock(fin, fout, self.label_channels, conv)


# --- 09: style ---


class StyleEncoder(nn.Module):
    """E(image) to mean and log-variance of its style code: convolutions down to 4x4, then two linear layers."""

    def __init__(self, nef=64, z_dim=256, image_size=256):
        super().__init__()
        self.image_size = image_size
        depth = int(math.log2(image_size / 4))
        widths = [3] + [min(2**i, 8) * nef for i in range(depth)]
        self.convs = nn.ModuleList(
            SpectralConv2d(fin, fout, 3, stride=2, padding=1, bias=False) for fin, fout in zip(widths, widths[1:])
        )
        self.norms = nn.ModuleList(InstanceNorm2d(fout) for fout in widths[1:])
        self.to_mu = nn.Linear(widths[-1] * 16, z_dim)
        self.to_logvar = nn.Linear(widths[-1] * 16, z_dim)

    def forward(self, image):
        size = self.image_size, self.image_size
        x = F.interpolate(image, size=size, mode="bilinear", align_corners=False)
        for conv, norm in zip(self.convs, self.norms):
            x = F.leaky_relu(norm(conv(x)), 0.2)
        return self.to_mu(x.flatten(1)), self.to_logvar(x.flatten(1))


def reparameterise(mu, logvar):
    """z = mu + exp(logvar / 2) eps, eps ~ N(0, 1): a draw that gradients can pass through."""
    return mu + torch.exp(0.5 * logvar) * torch.randn_like(mu)


def kl_divergence(mu, logvar):
    """KL(N(mu, exp logvar) || N(0, 1)) = -1/2 sum(1 + logvar - mu^2 - exp logvar), over batch and dimensions."""
    return -0.5 * (1 + logvar - mu.square() - logvar.exp()).sum()


if __name__ == "__main__":
    segmap, image, x = torch.zeros(1, 36, 64, 128), torch.zeros(1, 3, 64, 128), torch.zeros(1, 64, 8, 16)
    shown = {  # what each network is built with, and called with; what isn't there yet is passed over
        "BatchNorm2d": ([64], [x]),
        "InstanceNorm2d": ([64], [x]),
        "ResnetBlock": ([64], [x]),
        "Pix2PixHDGenerator": ([36], [segmap]),
        "SPADE": ([64, 36], [x, segmap]),
        "SPADEResnetBlock": ([64, 32, 36], [x, segmap]),
        "SPADEGenerator": ([36, (2, 4)], [segmap]),
        "SpectralConv2d": ([64, 32, 3], [x]),
        "PatchDiscriminator": ([39], [torch.cat([segmap, image], dim=1)]),
        "MultiScaleDiscriminator": ([36], [segmap, image]),
        "ConcatResnetBlock": ([64, 32, 36], [x, segmap]),
        "ConcatGenerator": ([36, (2, 4)], [segmap]),
        "StyleEncoder": ([], [image]),
    }
    for name in [name for name in shown if name in globals()]:
        options, inputs = shown[name]
        network = globals()[name](*options)
        with torch.no_grad():
            result = network(*inputs)
        while not torch.is_tensor(result):
            result = result[-1]
        print(f"{name}: {sum(p.numel() for p in network.parameters()):,} parameters, gives {tuple(result.shape)}")
