"""The reference of the student's file: with copied weights it is the package, and it needs nothing but torch."""

import ast
import copy
import importlib.util
import re
import subprocess
import sys
from itertools import pairwise
from pathlib import Path

import pytest
import torch
from torch import nn
from torch.nn import functional as F

from spade_edu import blocks, discriminators, encoder, generators, labels, losses, normalization, spectral
from spade_edu.config import TrainingConfig
from spade_edu.evaluation import frechet, segmentation
from spade_edu.initialisation import init_spade
from spade_edu.pretrained.judge import SecondOpinion
from spade_edu.training import Trainer

ROOT = Path(__file__).parents[1]
FILE, COPY = ROOT / "solutions" / "my_spade.py", ROOT / "spade_edu" / "assets" / "my_spade.py"
SOURCE = FILE.read_text(encoding="utf-8")
LABELS, Z = 4, 6


def load_file():
    spec = importlib.util.spec_from_file_location("my_spade", FILE)
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


mine = load_file()


@torch.no_grad()
def copy_weights(source, target):
    """Give `target` the weights and buffers of `source`, each to the first one left that has its shape."""
    for kind in (nn.Module.parameters, nn.Module.buffers):
        left = [t for t in kind(source) if t.is_floating_point()]
        for tensor in kind(target):
            place = next(i for i, other in enumerate(left) if other.shape == tensor.shape)
            tensor.copy_(left.pop(place))
        assert left == [], [t.shape for t in left]
    return target


def random_weights(network):
    """Weights that leave nothing near zero or one."""
    for parameter in network.parameters():
        nn.init.normal_(parameter, 0.1, 0.3)
    return network


def segmap(*size, n=2):
    return F.one_hot(torch.randint(LABELS, (n, *size)), LABELS).permute(0, 3, 1, 2).float()


def flat(result):
    return [result] if torch.is_tensor(result) else [tensor for part in result for tensor in flat(part)]


def assert_close(ours, theirs, tolerance=1e-5):
    """Relative to the largest number of the expected tensor."""
    assert ours.shape == theirs.shape
    assert (ours - theirs).abs().max() <= tolerance * max(1.0, theirs.abs().max())


def outcome(network, inputs):
    """Results, and gradients for inputs and weights."""
    inputs = [x.clone().requires_grad_() for x in inputs]
    results = flat(network(*inputs))
    draw = torch.Generator().manual_seed(3)
    loss = sum((r * torch.randn(r.shape, generator=draw)).mean() for r in results)
    loss.backward()
    return [r.detach() for r in results], [x.grad for x in inputs], [p.grad for p in network.parameters()]


def image(*size, n=2):
    return torch.rand(n, 3, *size) * 2 - 1


def features(*shape):
    return 2 * torch.randn(*shape) + 1


spectral_conv = mine.SpectralConv2d
NETWORKS = {
    "batch norm": lambda: (mine.BatchNorm2d(3), normalization.BatchNorm2d(3), [features(2, 3, 4, 5)]),
    "instance norm": lambda: (mine.InstanceNorm2d(3), normalization.InstanceNorm2d(3), [features(2, 3, 4, 5)]),
    "pix2pixHD's block": lambda: (mine.ResnetBlock(3), blocks.ResnetBlock(3), [features(2, 3, 4, 5)]),
    "pix2pixHD": lambda: (
        mine.Pix2PixHDGenerator(LABELS, 4, 2, 2),
        generators.Pix2PixHDGenerator(LABELS, ngf=4, num_downsampling=2, num_blocks=2),
        [segmap(16, 8)],
    ),
    "SPADE": lambda: (
        mine.SPADE(3, LABELS, 5),
        normalization.SPADE(3, LABELS, hidden_channels=5),
        [features(2, 3, 4, 5), segmap(8, 15)],
    ),
    "SPADE's block": lambda: (
        mine.SPADEResnetBlock(3, 5, LABELS, 6, spectral_conv),
        blocks.SPADEResnetBlock(3, 5, LABELS, hidden_channels=6),
        [features(2, 3, 4, 6), segmap(8, 12)],
    ),
    "SPADE's block, plain": lambda: (
        mine.SPADEResnetBlock(3, 3, LABELS),
        blocks.SPADEResnetBlock(3, 3, LABELS, spectral=False),
        [features(2, 3, 4, 6), segmap(8, 12)],
    ),
    "SPADE's generator": lambda: (
        mine.SPADEGenerator(LABELS, (1, 2), 2, None, 6, spectral_conv),
        generators.SPADEGenerator(LABELS, latent=(1, 2), ngf=2, hidden_channels=6),
        [segmap(32, 64)],
    ),
    "SPADE's generator from z": lambda: (
        mine.SPADEGenerator(LABELS, (2, 1), 2, Z, 6),
        generators.SPADEGenerator(LABELS, latent=(2, 1), ngf=2, z_dim=Z, hidden_channels=6, spectral=False),
        [segmap(64, 32), torch.randn(2, Z)],
    ),
    "spectral norm": lambda: (
        mine.SpectralConv2d(3, 4, 3, 2, 1),
        spectral.SpectralConv2d(3, 4, 3, 2, 1),
        [features(2, 3, 6, 7)],
    ),
    "patch discriminator": lambda: (
        mine.PatchDiscriminator(5, 4, 3),
        discriminators.PatchDiscriminator(5, ndf=4, num_layers=3),
        [features(2, 5, 16, 24)],
    ),
    "discriminator": lambda: (
        mine.MultiScaleDiscriminator(LABELS, 4),
        discriminators.MultiScaleDiscriminator(LABELS, ndf=4),
        [segmap(32, 64), image(32, 64)],
    ),
    "concat": lambda: (
        mine.ConcatGenerator(LABELS, (1, 2), 2, conv=spectral_conv),
        generators.ConcatGenerator(LABELS, latent=(1, 2), ngf=2),
        [segmap(32, 64)],
    ),
    "style encoder": lambda: (
        mine.StyleEncoder(2, Z, 32),
        encoder.StyleEncoder(nef=2, z_dim=Z, image_size=32),
        [image(20, 48)],
    ),
}  # fmt: skip


@pytest.mark.parametrize("name", NETWORKS)
def test_with_copied_weights_a_network_is_the_packages(name):
    ours, theirs, inputs = NETWORKS[name]()
    inputs = [x.double() for x in inputs]  # in float32 the generators' many norms enlarge the rounding to 3e-5
    random_weights(theirs.double())
    copy_weights(theirs, ours.double())
    for training in (True, True, False):
        ours.train(training), theirs.train(training)
        ours.zero_grad(), theirs.zero_grad()
        got, expected = outcome(ours, inputs), outcome(theirs, inputs)
        for g, e in zip(got[0] + got[1], expected[0] + expected[1], strict=True):
            assert_close(g, e)
        assert_gradients_agree(ours, theirs, got[2], expected[2])


def assert_gradients_agree(ours, theirs, got, expected):
    """Weights as in `copy_weights`: each with the first one left of its shape and value."""
    left = list(zip(theirs.parameters(), expected))
    for parameter, gradient in zip(ours.parameters(), got):
        place = next(i for i, (p, _) in enumerate(left) if p.shape == parameter.shape)
        assert_close(gradient, left.pop(place)[1], 1e-4)
    assert left == []


# Training ------------------------------------------------------------------------------------------------------------


def networks(style):
    """(generator, discriminator, encoder) of the package and of the file, with the same weights."""
    z_dim = Z if style else None
    theirs = [
        init_spade(generators.SPADEGenerator(LABELS, latent=(2, 2), ngf=2, z_dim=z_dim, hidden_channels=8), 1.0),
        init_spade(discriminators.MultiScaleDiscriminator(LABELS, ndf=4), 1.0),
        init_spade(encoder.StyleEncoder(nef=2, z_dim=Z, image_size=32), 1.0) if style else None,
    ]
    ours = [
        mine.SPADEGenerator(LABELS, (2, 2), 2, z_dim, 8, spectral_conv),
        mine.MultiScaleDiscriminator(LABELS, 4),
        mine.StyleEncoder(2, Z, 32) if style else None,
    ]
    return theirs, [o and copy_weights(t, o) for o, t in zip(ours, theirs)]


def tensors(network):
    return [t for t in network.state_dict().values() if t.is_floating_point()]


@pytest.mark.parametrize("style", [False, True], ids=["labels only", "with a style encoder"])
def test_three_steps_of_training_are_the_trainers(style, monkeypatch):
    """In float64: Adam makes full steps of gradients that are zero but for rounding (see assert_same_networks)."""
    monkeypatch.setattr(torch.Tensor, "float", torch.Tensor.double)  # the trainer's losses too
    theirs, ours = ([network and network.double() for network in side] for side in networks(style))
    batches = [{"segmap": segmap(64, 64), "image": image(64, 64).double()} for _ in range(3)]
    eyes = SecondOpinion().double().requires_grad_(False).eval()
    trainer = Trainer(*theirs, TrainingConfig(), features=eyes, feature_weights=eyes.weights)
    before = [copy.deepcopy(network) for network in ours if network]
    torch.manual_seed(5)
    expected = [trainer.step(batch) for batch in batches]
    torch.manual_seed(5)
    optimizers = mine.make_optimizers(*ours)
    got = list(mine.train(batches, *ours[:2], optimizers, ours[2], eyes, eyes.weights))
    for g, e in zip(got, expected, strict=True):
        assert g["D"] == pytest.approx(e["D_Fake"] + e["D_real"], rel=1e-6)
        assert {n: v for n, v in g.items() if n != "D"} == pytest.approx(
            {n: v for n, v in e.items() if not n.startswith("D_")}, rel=1e-6
        )
    for old, o, t in zip(before, filter(None, ours), filter(None, theirs), strict=True):
        check = copy_weights(t, copy.deepcopy(o))
        assert any(not torch.equal(a, b) for a, b in zip(old.parameters(), o.parameters()))
        a, b = (torch.cat([t.flatten() for t in tensors(network)]) for network in (o, check))
        assert (a - b).abs().max() <= 1e-6 * b.std()


def test_a_step_leaves_the_other_side_as_it_is():
    _, (generator, discriminator, _) = networks(False)
    batch = {"segmap": segmap(64, 64), "image": image(64, 64)}
    optimizer_g, optimizer_d = mine.make_optimizers(generator, discriminator)
    for step, moving, resting, optimizer in (
        (mine.generator_step, generator, discriminator, optimizer_g),
        (mine.discriminator_step, discriminator, generator, optimizer_d),
    ):
        old, rest = copy.deepcopy(list(moving.parameters())), copy.deepcopy(list(resting.parameters()))
        step(batch, generator, discriminator, optimizer)
        assert all(torch.equal(a, b) for a, b in zip(rest, resting.parameters()))
        assert sum(not torch.equal(a, b) for a, b in zip(old, moving.parameters())) > len(old) / 2
        assert all(p.requires_grad for p in discriminator.parameters())


def test_the_rates_and_momenta_are_the_papers():
    optimizers = mine.make_optimizers(nn.Linear(1, 1), nn.Linear(1, 1), nn.Linear(1, 1))
    assert [o.param_groups[0]["lr"] for o in optimizers] == [1e-4, 4e-4]
    assert [o.param_groups[0]["betas"] for o in optimizers] == [(0.0, 0.9)] * 2
    assert [len(o.param_groups[0]["params"]) for o in optimizers] == [4, 2]


def test_initial_weights_are_drawn_as_the_packages():
    torch.manual_seed(1)
    ours = mine.init_weights(mine.MultiScaleDiscriminator(3, 4))
    torch.manual_seed(1)
    theirs = mine.MultiScaleDiscriminator(3, 4)
    init_spade(theirs)
    assert all(torch.equal(a, b) for a, b in zip(ours.parameters(), theirs.parameters(), strict=True))


# Losses, labels, scores ----------------------------------------------------------------------------------------------


def test_losses_are_the_packages():
    fake, real = ([[torch.randn(2, c, 5, 6) for c in (3, 4, 1)] for _ in range(2)] for _ in range(2))
    assert_close(mine.hinge_generator(fake), losses.hinge_generator(fake))
    assert_close(mine.hinge_discriminator(real, fake), losses.hinge_discriminator(real, fake))
    assert_close(mine.feature_matching(fake, real), losses.feature_matching(fake, real))
    mu, logvar = torch.randn(2, 3, 4)
    assert_close(mine.kl_divergence(mu, logvar), losses.kl_divergence(mu, logvar))
    eyes = lambda x: [x, x.square(), x.mean((2, 3))]  # noqa: E731
    arguments = eyes, (0.5, 1.0, 2.0), image(4, 4), image(4, 4)
    assert_close(mine.perceptual(*arguments), losses.perceptual(*arguments))
    torch.manual_seed(2)
    ours = mine.reparameterise(mu, logvar)
    torch.manual_seed(2)
    assert_close(ours, encoder.reparameterise(mu, logvar))


def test_label_maps_are_the_packages():
    label, instance = torch.randint(6, (2, 5, 7)), torch.randint(3, (2, 5, 7))
    expected = labels.one_hot(label, 6)
    assert torch.equal(mine.one_hot(torch.where(label == 5, 255, label), 5), expected)
    assert torch.equal(mine.one_hot(label, 5), expected)
    assert torch.equal(mine.instance_edges(instance), labels.instance_edges(instance))


def test_cityscapes_gives_36_channels():
    label = torch.randint(34, (1, 4, 6))
    ours = torch.cat([mine.one_hot(label, 34), mine.instance_edges(label)], dim=1)
    assert torch.equal(ours, labels.CITYSCAPES.encode(label, label))


def test_miou_is_the_packages():
    prediction, target = torch.randint(4, (2, 9, 9)), torch.randint(4, (2, 9, 9))
    target[0, :2] = 255
    confusion = segmentation.ConfusionMatrix(6, ignored=(255,))
    confusion.update(prediction, target)
    counts = mine.confusion_matrix(prediction, target, 6, 255)
    assert torch.equal(counts, confusion.counts)
    assert mine.mean_iou(counts) == pytest.approx(confusion.miou(), abs=1e-12)


@pytest.mark.parametrize("rank", [2, 6])
def test_the_frechet_distance_is_the_packages(rank):
    mu = torch.randn(2, 6).double()
    cov = [f @ f.T for f in torch.randn(2, 6, rank).double()]
    arguments = mu[0], cov[0], mu[1], cov[1]
    assert mine.frechet_distance(*arguments) == pytest.approx(frechet.frechet_distance(*arguments), rel=1e-6)


# The file ------------------------------------------------------------------------------------------------------------


def test_the_copy_in_the_package_is_the_same_file():
    assert COPY.read_bytes() == FILE.read_bytes(), "run python tools/build_exercises.py"


def test_it_needs_torch_and_nothing_else():
    nodes = [n for n in ast.walk(ast.parse(SOURCE)) if isinstance(n, ast.Import | ast.ImportFrom)]
    names = {a.name for n in nodes if isinstance(n, ast.Import) for a in n.names}
    assert names <= {"math", "torch"}
    assert {n.module for n in nodes if isinstance(n, ast.ImportFrom)} == {"torch", "torch.nn"}
    assert "parametriz" not in SOURCE


def test_parts_stand_under_rulers_in_the_order_of_the_stages():
    stages = re.findall(r"^# --- (\d\d): .+ ---$", SOURCE, flags=re.MULTILINE)
    assert stages == ["00", "01", "02", "03", "05", "06", "07", "08", "09"]
    assert all(a < b for a, b in pairwise(stages))
    assert len(SOURCE.splitlines()) < 500


def test_it_runs_by_itself(tmp_path):
    blocked = "import sys, runpy; sys.modules['spade_edu'] = None; runpy.run_path(sys.argv[1], run_name='__main__')"
    command = [sys.executable, "-I", "-c", blocked, str(FILE)]
    done = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    with torch.device("meta"):
        theirs = {
            "SPADEGenerator": generators.SPADEGenerator(36, latent=(2, 4)),
            "MultiScaleDiscriminator": discriminators.MultiScaleDiscriminator(36),
            "StyleEncoder": encoder.StyleEncoder(),
            "Pix2PixHDGenerator": generators.Pix2PixHDGenerator(36),
        }
    lines = dict(line.split(": ", 1) for line in done.stdout.splitlines())
    assert lines.keys() == {name for name, value in vars(mine).items() if isinstance(value, type)}
    for name, network in theirs.items():
        assert lines[name].startswith(f"{sum(p.numel() for p in network.parameters()):,} parameters, gives (1, ")
    assert lines["SPADEGenerator"].endswith("(1, 3, 64, 128)")
