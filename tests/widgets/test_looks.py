import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image

from spade_edu import CITYSCAPES, UserError
from spade_edu.data import Streets, stack
from spade_edu.pictures import to_uint8
from spade_edu.runs.loading import load_stored
from spade_edu.sampling import generate
from spade_edu.widgets.looks import between, code, draw, read_recipe, title
from spade_edu.widgets.still import captioned, diverging, map_tile, png

SEEDS = st.integers(0, 1000)


@given(SEEDS)
def test_a_code_follows_from_its_recipe(seed):
    assert torch.equal(code({"seed": seed}, 8), code({"seed": seed}, 8))
    assert not torch.equal(code({"seed": seed}, 8), code({"seed": seed + 1}, 8))


def test_codes_around_another_are_near_it_and_spread_like_any():
    centre = {"seed": 3}
    z = code(centre, 4096)
    for step in (0.25, 0.5):
        near = code({"around": centre, "step": step, "seed": 3}, 4096)  # the centre's own seed is no special case
        assert torch.corrcoef(torch.stack([z, near]))[0, 1] == pytest.approx((1 - step**2) ** 0.5, abs=0.03)
        assert near.std() == pytest.approx(1, abs=0.03)


@given(SEEDS, SEEDS, st.floats(0, 1))
def test_between_keeps_the_length_even(first, second, t):
    a, b = code({"seed": first}, 16), code({"seed": second}, 16)
    length = float((1 - t) * a.norm() + t * b.norm())
    assert float(between(a, b, t).norm()) == pytest.approx(length, rel=1e-3)
    assert torch.allclose(between(a, b, 0.0), a, atol=1e-5)
    assert torch.allclose(between(a, b, 1.0), b, atol=1e-5)


@pytest.mark.parametrize("b", [torch.zeros(4), torch.ones(4), -torch.ones(4), 3 * torch.ones(4)])
def test_between_directions_without_an_arc_is_a_line(b):
    a = torch.ones(4)
    assert torch.allclose(between(a, b, 0.25), 0.75 * a + 0.25 * b)


@pytest.mark.parametrize(
    "recipe", [{}, {"seed": "3"}, {"around": {}, "step": 0.5, "seed": 1}, {"between": [{"seed": 1}], "at": 0.5}]
)
def test_what_is_no_recipe_is_refused(recipe):
    with pytest.raises(UserError, match="recipe"):
        code(recipe, 4)


def test_titles():
    near = {"around": {"seed": 3}, "step": 0.25, "seed": 7}
    assert title({"between": [{"seed": 1}, near], "at": 0.4}) == "seed 1 to seed 3 ± 0.25 (seed 7): 40%"


def test_a_png_carries_its_recipe(tmp_path):
    recipe = {"between": [{"seed": 1}, {"around": {"seed": 2}, "step": 0.5, "seed": 3}], "at": 0.3}
    pixels = torch.randint(256, (4, 6, 3), dtype=torch.uint8)
    (tmp_path / "look.png").write_bytes(png(pixels, recipe))
    assert read_recipe(tmp_path / "look.png") == recipe
    with Image.open(tmp_path / "look.png") as picture:
        assert picture.tobytes() == pixels.numpy().tobytes()
    (tmp_path / "plain.png").write_bytes(png(pixels))
    with pytest.raises(UserError, match="carries no recipe"):
        read_recipe(tmp_path / "plain.png")


def test_a_seed_draws_what_generate_draws():
    sample, generator = Streets(1, split="val")[0], load_stored("spade").generator
    expected = generate(generator, stack([sample]), Streets.labels, seed=5)
    found = draw(generator, Streets.labels, sample.label, sample.instance, code({"seed": 5}, generator.z_dim)[None])
    assert (found.int() - to_uint8(expected).int()).abs().max() <= 1


def test_diverging_colours():
    colours = diverging(torch.tensor([[-2.0, 0.0, 1.0]]), 1.0)
    assert colours[0, 1].tolist() == [255, 255, 255]
    assert colours[0, 0, 2] > colours[0, 0, 0]
    assert colours[0, 2, 0] > colours[0, 2, 2]
    assert diverging(torch.zeros(2, 2), 0.0).unique().tolist() == [255]


def test_captioned_tiles_of_several_sizes_fit():
    tiles = [(str(size), torch.zeros(*size, 3).byte()) for size in ((8, 16), (20, 12), (9, 9))]
    picture = captioned(tiles, 2, [((255, 0, 0), "red")])
    assert picture.width >= 2 * 16 and picture.height >= 2 * 20
    assert (255, 0, 0) in {colour for _, colour in picture.getcolors(1 << 20)}


def test_a_still_map_has_lines_only_between_classes_of_near_colours():
    label = torch.full((4, 8), CITYSCAPES.id("road"))
    label[:2, :4], label[:2, 4:] = CITYSCAPES.id("car"), CITYSCAPES.id("truck")
    tile = map_tile(label, CITYSCAPES)
    assert tile.shape == (128, 256, 3)
    light = (tile == 235).all(-1)
    assert light[:64, 128].all() and light.sum() == 64  # between car and truck; none above the road
    assert torch.equal(tile[16::32, 16::32], CITYSCAPES.colourise(label))
