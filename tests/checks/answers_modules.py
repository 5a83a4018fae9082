"""Typical answers to the parts of my_spade.py: wrong ones with what they are told, right ones in another style.

Most are the reference file with a few words changed; `changed` gives the part that such a file defines.
"""

from pathlib import Path

import torch
from torch import nn
from torch.nn.utils import spectral_norm

from spade_edu import losses

SOURCE = (Path(__file__).parents[2] / "solutions" / "my_spade.py").read_text(encoding="utf-8")


def changed(name, *pairs):
    """The part of that name, from the file in which each first text of its source stands for the second one."""
    kind = "class" if name[0].isupper() else "def"
    head, _, rest = SOURCE.partition(f"\n{kind} {name}(")
    body, end, tail = rest.partition("\n\n\n")
    for old, new in pairs:
        assert old in body, (name, old)
        body = body.replace(old, new)
    namespace = {"__name__": "changed"}  # no module that another test may have imported
    exec(f"{head}\n{kind} {name}({body}{end}{tail}", namespace)
    return namespace[name]


SECOND_WEIGHT = "self.gamma = nn.Conv2d(hidden_channels, num_features, 3, padding=1)"
THIRD_WEIGHT = "self.beta = nn.Conv2d(hidden_channels, num_features, 3, padding=1)"
DOUBLED = 'x = F.interpolate(x, scale_factor=2, mode="nearest")'
PICTURE = "torch.tanh(self.to_picture(F.leaky_relu(x, 0.2)))"
SKIP = "self.conv_s(self.norm_s(x, segmap)) if self.learned_skip else x"
SECOND = "self.conv_1(F.leaky_relu(self.norm_1(x, segmap), 0.2))"
CUT = "mean, variance = mean.detach(), variance.detach()\n        y ="
MISPLACED = "torch.sqrt(variance[:, None, None] + self.eps)"

CHANGES = [
    ("BatchNorm2d", "* count / (count - 1)", "", "running variance divides by n"),
    ("BatchNorm2d", "momentum=0.1", "momentum=0.9", "take 0.9 of the new value"),
    ("BatchNorm2d", "if self.training:", "if True:", "In evaluation mode the batch's own statistics"),
    ("BatchNorm2d", "y = (x", CUT + " (x", "cut off from the gradient"),
    ("BatchNorm2d", MISPLACED, "(variance.sqrt() + self.eps)[:, None, None]", "eps belongs under the root"),
    ("BatchNorm2d", "if affine else None", "", "With affine=False there are no gamma and beta"),
    ("BatchNorm2d", "torch.ones(num_features)) if", "torch.zeros(num_features)) if", "gamma starts at zero"),
    ("BatchNorm2d", "self.running_mean.lerp_", "self.running_mean.lerp", "expected"),
    ("InstanceNorm2d", "dim=(2, 3)", "dim=(0, 2, 3)", "over the batch too"),
    ("InstanceNorm2d", "dim=(2, 3)", "dim=(1, 2, 3)", "over the channels too"),
    ("InstanceNorm2d", "torch.sqrt(variance + self.eps)", "torch.sqrt(variance)", "eps is missing"),
    ("InstanceNorm2d", "torch.sqrt(variance + self.eps)", "(variance + self.eps)", "divide by its root"),
    ("ResnetBlock", "nn.ReflectionPad2d(1)", "nn.ZeroPad2d(1)", "The padding is zeros"),
    ("ResnetBlock", "return x + self.layers(x)", "return self.layers(x)", "The skip path is missing"),
    ("ResnetBlock", "return x + self.layers(x)", "return F.relu(x + self.layers(x))", "a ReLU after the sum"),
    ("ResnetBlock", "nn.ReLU()", "nn.Identity()", "ReLU between the two convolutions is missing"),
    ("ResnetBlock", "channels, 3)", "channels, 3, bias=False)", "have no bias"),
    ("Pix2PixHDGenerator", "InstanceNorm2d(channels), nn.ReLU()", "nn.ReLU()", "norms after the convolutions"),
    ("Pix2PixHDGenerator", ", nn.Tanh()", "", "tanh is missing"),
    ("Pix2PixHDGenerator", "ngf * 2**i", "ngf", "stays at ngf"),
    ("Pix2PixHDGenerator", "nn.ReflectionPad2d(3)", "nn.ZeroPad2d(3)", "the first and the last convolution is zeros"),
    ("Pix2PixHDGenerator", "nn.ReLU()", "nn.LeakyReLU(0.2)", "a LeakyReLU; here it is a ReLU"),
    ("SPADE", "(1 + self.gamma(hidden))", "self.gamma(hidden)", "without the 1 +"),
    ("SPADE", 'mode="nearest"', 'mode="bilinear"', "bilinear"),
    ("SPADE", "F.relu(self.shared(segmap))", "self.shared(segmap)", "ReLU after the shared convolution is missing"),
    ("SPADE", "affine=False", "affine=True", "gamma and beta of its own"),
    ("SPADE", "BatchNorm2d(num_features, affine=False)", "InstanceNorm2d(num_features)", "The norm is instance norm"),
    ("SPADE", " + self.beta(hidden)", "", "beta isn't added"),
    ("SPADE", "3, padding=1", "1", "The convolutions are 1x1"),
    ("SPADE", "* self.norm(x)", "* x", "x isn't normalised"),
    ("SPADE", THIRD_WEIGHT, "self.heads = [nn.Conv2d(hidden_channels, num_features, 3, padding=1)]\n"
     "        self.beta = lambda h: self.heads[0](h)", "a plain Python list hides it"),
    ("SPADEResnetBlock", "0.2)", "0.01)", "slope is 0.01"),
    ("SPADEResnetBlock", "return skip + x", "return x", "The skip path is missing"),
    ("SPADEResnetBlock", SKIP, "self.conv_s(F.leaky_relu(self.norm_s(x, segmap), 0.2)) if self.learned_skip else x",
     "an activation on the skip path"),
    ("SPADEResnetBlock", "1, bias=False", "1", "skip path's convolution has a bias"),
    ("SPADEResnetBlock", "min(fin, fout)", "fout", "The width between the two convolutions is fout"),
    ("SPADEResnetBlock", SECOND, "self.conv_1(self.norm_1(x, segmap))", "The second activation is missing"),
    ("SPADEResnetBlock", "conv(fin, middle", "nn.Conv2d(fin, middle", "expected"),
    ("SPADEGenerator", "not in (0, 2)", "not in (0, 3)", "the one before the third"),
    ("SPADEGenerator", "if i not in (0, 2):", "if i > 0:", "doubled before the third block too"),
    ("SPADEGenerator", DOUBLED, 'x = F.interpolate(x, scale_factor=2, mode="bilinear")', "bilinear interpolation"),
    ("SPADEGenerator", PICTURE, "torch.tanh(self.to_picture(x))", "no block ends with an activation"),
    ("SPADEGenerator", PICTURE, "torch.sigmoid(self.to_picture(F.leaky_relu(x, 0.2)))", "sigmoid gives values"),
    ("SPADEGenerator", "to_picture = nn.Conv2d(", "to_picture = conv(", "The last convolution is made of conv"),
    ("SPADEGenerator", "fc = nn.Conv2d(", "fc = conv(", "The first convolution is made of conv"),
    ("SPADEGenerator", PICTURE, f"0.9 * {PICTURE}", "expected"),
    ("SPADEGenerator", "16, 16, 16, 16, 8", "16, 16, 16, 8", "A block is missing"),
    ("SPADEGenerator", "hidden_channels, conv)\n\n", "hidden_channels)\n\n", "hand conv on"),
    ("SpectralConv2d", "self.weight / sigma", "self.weight", "isn't divided by sigma"),
    ("SpectralConv2d", "if self.training:", "if False:", "u and v never move"),
    ("SpectralConv2d", "self.u.clone() @ (matrix @ self.v.clone())", "matrix.norm()", "Frobenius"),
    ("SpectralConv2d", "weight / sigma", "weight / sigma.detach()", "sigma is cut off from the gradient"),
    ("PatchDiscriminator", "InstanceNorm2d(fout), ", "", "norms between the first and the last"),
    ("PatchDiscriminator", "nn.Conv2d(widths[-1], 1, 4, padding=2)",
     "nn.Sequential(nn.Conv2d(widths[-1], 1, 4, padding=2), InstanceNorm2d(1))", "a norm after the last convolution"),
    ("PatchDiscriminator", "nn.Conv2d(widths[-1], 1, 4, padding=2)",
     "nn.Sequential(nn.Conv2d(widths[-1], 1, 4, padding=2), nn.Sigmoid())", "The verdict goes through a sigmoid"),
    ("PatchDiscriminator", "return features", "return features[-1:]", "Only the verdict is returned"),
    ("PatchDiscriminator", "SpectralConv2d(", "nn.Conv2d(", "The convolutions in the middle are plain"),
    ("PatchDiscriminator", "nn.LeakyReLU(0.2)", "nn.LeakyReLU()", "slope is 0.01"),
    ("PatchDiscriminator", ", bias=False", "", "The convolutions in the middle have a bias"),
    ("MultiScaleDiscriminator", "[segmap, image]", "[image, segmap]", "the label map comes first"),
    ("MultiScaleDiscriminator", ", count_include_pad=False", "", "darkens the rim"),
    ("MultiScaleDiscriminator", "return results", "return results[::-1]", "The coarse scale stands first"),
    ("ConcatResnetBlock", 'mode="nearest"', 'mode="bilinear"', "bilinear"),
    ("ConcatResnetBlock", "BatchNorm2d(fin)", "BatchNorm2d(fin, affine=False)", "expected"),
    ("ConcatResnetBlock", "return skip + x", "return x", "The skip path is missing"),
    ("ConcatResnetBlock", "self.norm_0(x), 0.2), segmap]", "self.norm_0(x), 0.01), segmap]", "expected"),
    ("ConcatGenerator", "ConcatResnetBlock(fin, fout, self.label_channels, conv)",
     "SPADEResnetBlock(fin, fout, self.label_channels, hidden_channels, conv)", "still SPADE's"),
    ("ConcatGenerator", "self.label_channels, conv)", "self.label_channels)", "hand conv on"),
    ("StyleEncoder", 'mode="bilinear", align_corners=False', 'mode="nearest"', "resized by nearest neighbour"),
    ("StyleEncoder", "F.leaky_relu(norm(conv(x)), 0.2)", "norm(F.leaky_relu(conv(x), 0.2))", "comes before the norm"),
    ("StyleEncoder", "SpectralConv2d(", "nn.Conv2d(", "The convolutions are plain"),
    ("StyleEncoder", ", self.to_logvar(x.flatten(1))", ", self.to_logvar(x.flatten(1)).exp()", "is the variance"),
    ("StyleEncoder", ", bias=False", "", "The convolutions have a bias"),
]  # fmt: skip
STEPS = [
    ("make_optimizers", "lr / 2", "lr", "it is lr / 2"),
    ("make_optimizers", "0.9)", "0.999)", "beta2 is 0.999"),
    ("make_optimizers", " + (list(encoder.parameters()) if encoder else [])", "", "Nobody moves the encoder"),
    ("make_optimizers", "return optimizer_g, optimizer_d", "return optimizer_g", "Return two optimizers"),
    ("generate", "reparameterise(mu, logvar)", "mu", "The style code is mu itself"),
    ("generate", ', reparameterise(mu, logvar))', ")", "With an encoder the generator gets a style code"),
    ("generate", ", None, None", "", "Return three things"),
    ("judge", "[fake, real]", "[real, fake]", "The order is on_fake, on_real"),
    ("judge", "torch.cat([fake, real])", "torch.cat([fake.detach(), real])", "cut off from the gradient"),
    ("judge", "for feature in scale] for", "for feature in scale[-1:]] for", "not the verdict alone"),
    ("generator_step", "optimizer.zero_grad()", "", "Old gradients aren't cleared"),
    ("generator_step", "discriminator.requires_grad_(False)", "pass", "D's weights collect gradients"),
    ("generator_step", "discriminator.requires_grad_(True)", "pass", "D is left frozen"),
    ("generator_step", 'losses["KLD"] = 0.05 * kl_divergence(mu, logvar)', "pass", "The style's KL is forgotten"),
    ("generator_step", "0.05 * kl", "kl", "The weight of the KL is 0.05"),
    ("generator_step", "hinge_generator(on_fake)", "hinge_generator(on_real)", "taken of the real pictures"),
    ("generator_step", "    discriminator.requires_grad_(False)",
     "    fake = fake.detach()\n    discriminator.requires_grad_(False)",
     "is the fake detached"),
    ("generator_step", "loss.detach()", "loss", "returned with their graph"),
    ("generator_step", "loss.detach()", "loss.item()", "each as a tensor under its name"),
    ("generator_step", "optimizer.step()", "", "Nothing moves"),
    ("generator_step", "return {", "return [losses] or {", "Return the losses in a dictionary"),
    ("discriminator_step", "with torch.no_grad()", "if True", "The detach is forgotten"),
    ("discriminator_step", "(on_real, on_fake)", "(on_fake, on_real)", "Real and fake are exchanged"),
    ("discriminator_step", "hinge_discriminator(on_real, on_fake)", "hinge_generator(on_fake)", "the generator's loss"),
    ("discriminator_step", "optimizer.zero_grad()", "", "Old gradients aren't cleared"),
    ("discriminator_step", "        fake, _, _ = generate(batch, generator, encoder)",
     "        fake, _, _ = generate(batch, generator)", "The encoder isn't used"),
    ("discriminator_step", "judge(discriminator, batch[\"segmap\"], fake, batch[\"image\"])",
     "(discriminator(batch['segmap'], p) for p in (fake, batch['image']))", "in two calls"),
    ("train", "optimizer_g, optimizer_d =", "optimizer_d, optimizer_g =", "other network's optimizer"),
    ("train", "generator.train()", "pass", "may come in eval mode"),
    ("train", "optimizer_g, encoder, features, weights", "optimizer_g, None, features, weights", "isn't handed on to"),
    ("train", "yield {", "return {", "yield those of each batch"),
    ("train", "loss.item()", "loss", "yield numbers"),
]  # fmt: skip
WRONG = [(name, changed(name, (old, new)), words) for name, old, new, words in CHANGES + STEPS]
WRONG += [
    (
        "BatchNorm2d",
        changed(
            "BatchNorm2d",
            ("(x - mean[:, None, None]).square().mean(dim=(0, 2, 3))", "x.var(dim=(0, 2, 3))"),
            (" * count / (count - 1)", ""),
        ),
        "divides by n - 1",
    ),
    (
        "MultiScaleDiscriminator",
        changed("MultiScaleDiscriminator", ("for _ in range(num_scales)", "for _ in range(1)")),
        "share one network",
    ),
]


def plain_generator_step(batch, generator, discriminator, optimizer, encoder=None, features=None, weights=()):
    """Gradients by torch.autograd.grad, D called by its own cat."""
    n, real = len(batch["image"]), batch["image"]
    z, kl = None, 0
    if encoder is not None:
        mu, logvar = encoder(real)
        z, kl = mu + (logvar / 2).exp() * torch.randn_like(mu), losses.kl_divergence(mu, logvar)
    fake = generator(batch["segmap"], z)
    both = discriminator(batch["segmap"].repeat(2, 1, 1, 1), torch.cat([fake, real]))
    on_fake, on_real = ([[f[part] for f in scale] for scale in both] for part in (slice(n), slice(n, None)))
    found = {"GAN_Feat": 10 * losses.feature_matching(on_fake, on_real), "GAN": losses.hinge_generator(on_fake)}
    found |= {"VGG": 10 * losses.perceptual(features, weights, fake, real)} if features else {}
    found |= {"KLD": 0.05 * kl} if encoder is not None else {}
    painters = [p for group in optimizer.param_groups for p in group["params"]]
    gradients = torch.autograd.grad(sum(found.values()), painters, allow_unused=True)
    for p, gradient in zip(painters, gradients):
        p.grad = gradient
    optimizer.step()
    return {name: loss.detach() for name, loss in found.items()}


# Right answers in another style ---------------------------------------------------------------------------------------


class TorchBatchNorm(nn.BatchNorm2d):
    def __init__(self, channels, learned=True):
        super().__init__(channels, affine=learned)


class FlatBatchNorm(nn.Module):
    """Gamma and beta of shape (1, c, 1, 1), beta first; the variance as the mean of squares of centred values."""

    def __init__(self, c, affine=True):
        super().__init__()
        if affine:
            self.scale, self.shift = (nn.Parameter(f(1, c, 1, 1)) for f in (torch.ones, torch.zeros))
        self.affine = affine
        self.register_buffer("m", torch.zeros(1, c, 1, 1))
        self.register_buffer("s", torch.ones(1, c, 1, 1))

    def forward(self, x):
        if self.training:
            rows = x.transpose(0, 1).flatten(1)
            var, mean = torch.var_mean(rows, dim=1, correction=0)
            m, v = (t.view(1, -1, 1, 1) for t in (mean, var))
            n = rows.shape[1]
            with torch.no_grad():
                self.m = 0.9 * self.m + 0.1 * m
                self.s = 0.9 * self.s + 0.1 * v * (n / (n - 1))
        else:
            m, v = self.m, self.s
        y = (x - m) * (v + 1e-5) ** -0.5
        return y * self.scale + self.shift if self.affine else y


class TorchInstanceNorm(nn.InstanceNorm2d):
    pass


class FlatInstanceNorm(nn.Module):
    def __init__(self, _):
        super().__init__()

    def forward(self, x):
        var, mean = torch.var_mean(x.flatten(2), dim=2, correction=0)
        return (x - mean[..., None, None]) * torch.rsqrt(var + 1e-5)[..., None, None]


class PaddedResnetBlock(nn.Module):
    """Padding inside the convolutions."""

    def __init__(self, c):
        super().__init__()
        self.second = nn.Conv2d(c, c, 3, padding=1, padding_mode="reflect")
        self.second, self.first = nn.Conv2d(c, c, 3, padding=1, padding_mode="reflect"), self.second
        self.norm = nn.InstanceNorm2d(c)

    def forward(self, x):
        return self.norm(self.first(self.norm(self.second(x)).clamp(min=0))) + x


def sequential_resnet_block(channels):
    """A function that makes one."""

    class Block(nn.Sequential):
        def forward(self, x):
            return super().forward(x).add(x)

    convs = [nn.Conv2d(channels, channels, 3, padding=1, padding_mode="reflect") for _ in range(2)]
    return Block(convs[0], nn.InstanceNorm2d(channels), nn.ReLU(inplace=True), convs[1], nn.InstanceNorm2d(channels))


class OneConvolutionSPADE(nn.Module):
    """By indexing in place of interpolate, with the affine part by addcmul, beta defined before gamma."""

    def __init__(self, c, labels, hidden=128):
        super().__init__()
        self.beta = nn.Conv2d(hidden, c, 3, 1, 1)
        self.gamma = nn.Conv2d(hidden, c, 3, 1, 1)
        self.mlp = nn.Sequential(nn.Conv2d(labels, hidden, 3, 1, "same"), nn.ReLU(inplace=True))
        self.bn = nn.BatchNorm2d(c, affine=False)

    def forward(self, x, segmap):
        h, w = x.shape[2:]
        rows = torch.arange(h) * segmap.shape[2] // h
        columns = torch.arange(w) * segmap.shape[3] // w
        hidden = self.mlp(segmap[:, :, rows][..., columns])
        y = self.bn(x)
        return torch.addcmul(y + self.beta(hidden), y, self.gamma(hidden))


class SkipFirstBlock(nn.Module):
    """The skip path is defined first, and layers stand in a dictionary."""

    SPADE = OneConvolutionSPADE

    def __init__(self, fin, fout, labels, hidden=128, conv=nn.Conv2d):
        super().__init__()
        mid = fin if fin < fout else fout
        self.skip = nn.ModuleDict()
        if fin != fout:
            self.skip = nn.ModuleDict({"norm": self.SPADE(fin, labels, hidden), "conv": conv(fin, fout, 1, bias=False)})
        self.norms = nn.ModuleList([self.SPADE(fin, labels, hidden), self.SPADE(mid, labels, hidden)])
        self.convs = nn.ModuleList([conv(fin, mid, 3, padding=1), conv(mid, fout, 3, padding=1)])

    def forward(self, x, segmap):
        y = x
        for norm, conv in zip(self.norms, self.convs):
            y = norm(y, segmap)
            y = conv(torch.where(y > 0, y, y / 5))
        if len(self.skip):
            x = self.skip["conv"](self.skip["norm"](x, segmap))
        return x.add(y)


class HookedSpectral(nn.Module):
    """Torch's older spectral norm does the same."""

    def __init__(self, fin, fout, k, stride=1, padding=0, bias=True):
        super().__init__()
        self.conv = spectral_norm(nn.Conv2d(fin, fout, k, stride, padding, bias=bias))

    def forward(self, x):
        return self.conv(x)


RIGHT = [
    ("make_optimizers", changed("make_optimizers", ("if encoder else", "if encoder is not None else"))),
    ("make_optimizers", changed("make_optimizers", ("lr / 2", "0.5 * lr"), ("return optimizer_g, optimizer_d",
                                                                          "return [optimizer_g, optimizer_d]"))),
    ("generate", changed("generate", ('generator(batch["segmap"]), None', 'generator(batch["segmap"], z=None), None'))),
    ("generate", changed("generate", ("return generator(batch[\"segmap\"], reparameterise(mu, logvar)), mu, logvar",
                                      "z = reparameterise(mu, logvar)\n"
                                      "    return [generator(batch['segmap'], z=z), mu, logvar]"))),
    ("judge", changed("judge", ("torch.cat([segmap, segmap])", "segmap.repeat(2, 1, 1, 1)"))),
    ("judge", changed("judge", ("feature.chunk(2)", "feature.split(len(segmap))"))),
    ("generator_step", plain_generator_step),
    ("generator_step", changed("generator_step", ("optimizer.zero_grad()", "generator.zero_grad()\n"
                                                  "    encoder and encoder.zero_grad()"))),
    ("discriminator_step", changed("discriminator_step", ("optimizer.zero_grad()", "discriminator.zero_grad()"))),
    ("discriminator_step", changed("discriminator_step", ("with torch.no_grad()", "if True"),
                                   ("on_fake, on_real = ", "fake = fake.detach()\n    on_fake, on_real = "))),
    ("train", changed("train", ("losses |= discriminator_step", "losses = losses | discriminator_step"))),
    ("train", changed("train", ("generator.train()", "generator.train(True)"))),
    ("BatchNorm2d", TorchBatchNorm),
    ("BatchNorm2d", FlatBatchNorm),
    ("InstanceNorm2d", TorchInstanceNorm),
    ("InstanceNorm2d", FlatInstanceNorm),
    ("ResnetBlock", PaddedResnetBlock),
    ("ResnetBlock", sequential_resnet_block),
    ("Pix2PixHDGenerator", changed("Pix2PixHDGenerator", ("nn.ReLU()", "nn.LeakyReLU(0.0)"))),
    ("Pix2PixHDGenerator", changed("Pix2PixHDGenerator", ("InstanceNorm2d(channels)", "nn.InstanceNorm2d(channels)"))),
    ("SPADE", OneConvolutionSPADE),
    ("SPADE", changed("SPADE", ("(1 + self.gamma(hidden)) * self.norm(x)",
                                "self.norm(x) * self.gamma(hidden).add(1)"))),
    ("SPADEResnetBlock", SkipFirstBlock),
    ("SPADEResnetBlock", changed("SPADEResnetBlock", (SECOND, SECOND.replace("0.2)", "0.2, inplace=True)")))),
    ("SPADEGenerator", changed("SPADEGenerator", (DOUBLED, "x = x.repeat_interleave(2, 2).repeat_interleave(2, 3)"))),
    ("SPADEGenerator", changed("SPADEGenerator", (PICTURE, "self.to_picture(x.relu() - 0.2 * (-x).relu()).tanh()"),
                               (".view(len(segmap), -1, *self.latent)", ".unflatten(1, (-1, *self.latent))"))),
    ("SpectralConv2d", HookedSpectral),
    ("SpectralConv2d", changed("SpectralConv2d", ("self.u.clone() @ (matrix @ self.v.clone())",
                                                  "torch.einsum('i,ij,j', self.u.clone(), matrix, self.v.clone())"))),
    ("PatchDiscriminator", changed("PatchDiscriminator", ("InstanceNorm2d(", "nn.InstanceNorm2d("))),
    ("PatchDiscriminator", changed("PatchDiscriminator", ("return features", "return tuple(features)"))),
    ("MultiScaleDiscriminator", changed("MultiScaleDiscriminator", ("results.append(scale(x))",
                                                                    "results += [scale(x)]"))),
    ("MultiScaleDiscriminator", changed("MultiScaleDiscriminator", (
        "F.avg_pool2d(x, 3, stride=2, padding=1, count_include_pad=False)",
        "nn.AvgPool2d(3, 2, 1, count_include_pad=False)(x)"))),
    ("ConcatResnetBlock", changed("ConcatResnetBlock", ("BatchNorm2d(", "nn.BatchNorm2d("))),
    ("ConcatResnetBlock", changed("ConcatResnetBlock", ("torch.cat(", "torch.concatenate("))),
    ("ConcatGenerator", changed("ConcatGenerator", ("ConcatResnetBlock(fin, fout, self.label_channels, conv)",
                                                    "ConcatResnetBlock(fin, fout, self.fc.in_channels "
                                                    "if self.z_dim is None else self.label_channels, conv=conv)"))),
    ("ConcatGenerator", changed("ConcatGenerator", ("fin, fout, hidden_channels, conv):", "*sizes):\n"
                                                    "        fin, fout, _, conv = sizes"))),
    ("StyleEncoder", changed("StyleEncoder", ("F.leaky_relu(norm(conv(x)), 0.2)", "nn.LeakyReLU(0.2)(norm(conv(x)))"))),
    ("StyleEncoder", changed("StyleEncoder", ("return self.to_mu(x.flatten(1)), self.to_logvar(x.flatten(1))",
                                              "return self.to_logvar(x.flatten(1)), self.to_mu(x.flatten(1))"))),
]  # fmt: skip
