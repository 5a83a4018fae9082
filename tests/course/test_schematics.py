"""The schematics: legible, in the paper's words, and every number the real module's."""

import inspect
import itertools
import re
from pathlib import Path

import nbformat
import pytest
import torch
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.colors import to_hex

from spade_edu import CITYSCAPES, SPADE, MultiScaleDiscriminator, Pix2PixHDGenerator, SPADEGenerator, StyleEncoder
from spade_edu.blocks import SPADEResnetBlock
from spade_edu.course import schematics
from spade_edu.course.plotting import use_style
from spade_edu.course.sheet import KINDS, WIDTH, Sheet, _rectangles
from spade_edu.losses import kl_divergence
from spade_edu.spectral import SpectralNorm

NOTEBOOKS = Path(__file__).parents[2] / "notebooks"
WORDS = {
    "spade_layer": ["mask m", "Batch Norm", "1 + γ", "β", "element by element", "ReLU"],
    "residual_block": ["SPADE", "LeakyReLU", "1x1 conv", "skip path", "Figure 11", "x\n128", "out\n64"],
    "lost_class": ["pix2pixHD", "SPADE", "sky", "grass", "Instance\nNorm", "the class is lost", "no norm on the mask"],
    "generator": ["SPADE ResBlks", "head_0", "G_middle_1", "up_3", "×2", "tanh"],
    "patchgan": ["mask, image", "verdicts", "pooling", "weights of their own", "70 x 70", "141 x 141"],
    "encoder": [
        "Instance Norm",
        "reshape",
        "μ: Linear, 256",
        "log σ²: Linear, 256",
        "KL(",
        "N(0, I)",
        "SPADE\ngenerator",
    ],
    "spectral_norm": ["generator", "discriminator", "encoder", "SPADE:\n3 convs", "spectral norm"],
}
each = pytest.mark.parametrize("name", WORDS)


def draw(name):
    return getattr(schematics, name)()


def texts(sheet):
    return [text for text in sheet.axes.texts if text.get_text()]


def said(sheet):
    return [text.get_text() for text in texts(sheet)]


def faults(sheet):
    """What a reader would trip over: words on words, off the sheet, out of their box, or under an arrow."""
    renderer = FigureCanvasAgg(sheet.figure).get_renderer()
    inches = sheet.figure.dpi_scale_trans.inverted()
    spots = {t: t.get_window_extent(renderer).transformed(inches) for t in texts(sheet)}
    found = [(a.get_text(), b.get_text()) for a, b in itertools.combinations(spots, 2) if spots[a].overlaps(spots[b])]
    height = sheet.figure.get_figheight()
    found += [
        t.get_text()
        for t, s in spots.items()
        if s.x0 < 0.05 or s.x1 > WIDTH - 0.05 or s.y0 < 0.05 or s.y1 > height - 0.05
    ]
    for box, text in sheet.labelled:
        if text in spots:
            wide, high = spots[text].width - box.width, spots[text].height - box.height
            found += [f"{text.get_text()}: out of its box"] if max(wide, high) > -0.02 else []
    return found + [
        f"{t.get_text()}: under an arrow" for t, s in spots.items() if any(crosses(s, p) for p in sheet.lines)
    ]


def crosses(spot, points):
    """Whether a line of upright and level pieces runs through a text's rectangle."""
    return any(
        min(a[0], b[0]) < spot.x1
        and max(a[0], b[0]) > spot.x0
        and min(a[1], b[1]) < spot.y1
        and max(a[1], b[1]) > spot.y0
        for a, b in zip(points, points[1:])
    )


def test_every_schematic_is_tested():
    drawn = [
        n for n, f in inspect.getmembers(schematics, inspect.isfunction) if f.__annotations__.get("return") is Sheet
    ]
    assert sorted(drawn) == sorted(WORDS)


@each
def test_it_says_what_it_must_and_can_be_read(name):
    use_style()  # as in a notebook
    sheet = draw(name)
    assert [w for w in WORDS[name] if w not in "\n\n".join(said(sheet))] == []
    assert faults(sheet) == []
    assert min(text.get_fontsize() for text in texts(sheet)) >= 8


def test_the_faults_are_seen():
    sheet = Sheet("a bad one", 2)
    sheet.box(1, 1, "much too long", width=0.3)
    sheet.words(1.05, 1, "on it")
    sheet.words(8.3, 0.5, "outside")
    sheet.words(4, 1.5, "crossed")
    sheet.arrow((3, 1.5), (5, 1.5))
    assert faults(sheet) == [
        ("much too long", "on it"), "outside", "much too long: out of its box", "crossed: under an arrow",
    ]  # fmt: skip


@each
def test_it_is_stored_small_as_vectors_and_the_same_every_time(name):
    state = torch.get_rng_state()
    one = draw(name)
    svg = one._repr_svg_()
    use_style()  # as in a notebook
    assert svg == draw(name)._repr_svg_() and repr(one).startswith("Schematic: ")
    assert len(svg) < 60_000 and "<text" not in svg and "<image" not in svg and "clip-path" not in svg
    assert torch.equal(state, torch.get_rng_state())  # what a notebook draws afterwards stays the same


def test_each_stands_in_a_notebook_with_todays_words():
    stored = {}
    for path in NOTEBOOKS.glob("*.ipynb"):
        for cell in nbformat.read(path, as_version=4).cells:
            for output in cell.get("outputs", []):
                data = output.get("data", {})
                if "image/svg+xml" in data:
                    stored[data["text/plain"]] = data["image/svg+xml"]
    drawn = {repr(sheet): sheet._repr_svg_() for sheet in map(draw, WORDS)}
    letters = {name: re.findall(r'href="#D(\w+)"', svg) for name, svg in drawn.items()}
    assert letters == {name: re.findall(r'href="#D(\w+)"', svg) for name, svg in stored.items()}
    assert min(map(len, letters.values())) > 100


def test_rectangles_cover_a_map_once():
    label = torch.randint(0, 2, (9, 14), generator=torch.Generator().manual_seed(0)).bool()
    covered = torch.zeros(9, 14, dtype=torch.int)
    for left, top, right, bottom in _rectangles(label):
        covered[top:bottom, left:right] += 1
    assert torch.equal(covered, label.int())


def test_the_layers_numbers():
    layer = SPADE(96, CITYSCAPES.num_channels)
    found = said(schematics.spade_layer(96))
    assert f"3x3 conv, {layer.mlp_shared[0].out_channels}\nReLU" in found and "x\n96 channels" in found
    assert found.count("3x3 conv, 96") == 2 == len([layer.mlp_gamma, layer.mlp_beta])


def test_the_blocks_numbers():
    found = said(schematics.residual_block(32, 48))
    assert found.count("3x3 conv,\n32") == 1 and found.count("3x3 conv,\n48") == found.count("1x1 conv,\n48") == 1


def test_pix2pixhds_norms_are_counted():
    norms = [m for m in Pix2PixHDGenerator(36).modules() if isinstance(m, torch.nn.InstanceNorm2d)]
    assert len(norms) == 27 and f"ReLU, conv,\n{len(norms) - 1} more norms" in said(schematics.lost_class())


@pytest.mark.parametrize("size, plan, doublings", [((256, 256), "normal", 5), ((256, 512), "more", 6)])
def test_the_generators_sizes_and_widths(size, plan, doublings):
    """Widths of the published network, sizes of a small one that really paints."""
    small = SPADEGenerator(3, latent=(size[0] >> doublings, size[1] >> doublings), num_upsampling_layers=plan, ngf=1)
    blocks = [m for m in small.modules() if isinstance(m, SPADEResnetBlock)]
    seen = []
    for block in blocks:
        block.register_forward_hook(lambda m, x, y: seen.append((64 * y.shape[1], *y.shape[2:])))
    small.eval()(torch.zeros(1, 3, *size))
    sheet = schematics.generator(size, plan)
    assert [t for t in said(sheet) if t[0].isdigit() and "\n" in t and "conv" not in t] == [
        f"{c}\n{h} x {w}" for c, h, w in seen
    ]
    assert len(seen) == 7 and said(sheet).count("×2") == doublings
    assert f"{size[0] >> doublings} x {size[1] >> doublings}" in said(sheet)


def test_the_receptive_fields_are_those_of_the_gradient():
    network = MultiScaleDiscriminator(1, ndf=2, norm="none", spectral=False)
    image = torch.rand(1, 3, 320, 320, requires_grad=True)
    measured = []
    for scale in network(torch.zeros(1, 1, 320, 320), image):
        for feature in scale:
            middle = feature[0, :, feature.shape[2] // 2, feature.shape[3] // 2].sum()
            gradient = torch.autograd.grad(middle, image, retain_graph=True)[0]
            measured.append(int((gradient[0].abs().sum(dim=0) > 0).any(dim=0).sum()))
    sheet = schematics.patchgan()
    assert sorted(t for t in said(sheet) if t.startswith("sees")) == sorted(f"sees {n}" for n in measured)
    assert measured[4] == 70 and measured[9] == 141


def test_the_squares_stand_in_proportion():
    sheet = schematics.patchgan()
    sides = sorted(
        {round(p.get_width(), 4) for p in sheet.axes.patches if hasattr(p, "get_width") and not p.get_fill()}
    )
    swatch, fine, coarse, scene = sides
    assert fine / scene == pytest.approx(70 / 512, abs=1e-3) and coarse / scene == pytest.approx(141 / 512, abs=1e-3)


def test_the_verdicts_sizes():
    network = MultiScaleDiscriminator(1, ndf=2)
    shapes = [tuple(scale[-1].shape[2:]) for scale in network(torch.zeros(1, 1, 256, 512), torch.zeros(1, 3, 256, 512))]
    assert [t for t in said(schematics.patchgan()) if t.startswith("verdicts")] == [
        f"verdicts\n{h} x {w}" for h, w in shapes
    ]


def test_the_encoders_sizes_and_widths():
    network, seen = StyleEncoder(nef=2, z_dim=4).eval(), []
    for layer in network.layers:
        layer.register_forward_hook(lambda m, x, y: seen.append(f"{32 * y.shape[1]}\n{y.shape[2]} x {y.shape[3]}"))
    network(torch.zeros(1, 3, 256, 256))
    found = said(schematics.encoder())
    assert [t for t in found if t in seen] == seen and len(seen) == 6
    assert f"reshape,\n{512 * 4 * 4}" in found and "0.05 · KL(N(μ, σ²) || N(0, I))" in found
    assert kl_divergence(torch.zeros(1, 4), torch.zeros(1, 4)) == 0  # the term that is drawn


def test_spectral_norm_is_marked_where_it_is():
    networks = SPADEGenerator(36, ngf=2).up_0, MultiScaleDiscriminator(36, num_scales=1, ndf=2), StyleEncoder(nef=2)
    carried = [sum(isinstance(m, SpectralNorm) for m in network.modules()) for network in networks]
    colours = [to_hex(patch.get_facecolor()) for patch in schematics.spectral_norm().axes.patches]
    assert carried == [3, 3, 6] and colours.count(KINDS["marked"][0]) == sum(carried) + 1  # and the legend's
