"""One label map, many looks: draw style codes, keep some, go nearer, walk from one to another."""

from pathlib import Path

import torch
from jaxtyping import Integer
from PIL import Image
from torch import Tensor

from ..errors import UserError
from ..files import write_whole
from ..generators import Generator
from ..labels import LabelSpace
from .copies import DrawingCopy
from .host import Core, Tool, fraction, script, whole_number
from .looks import MOST_SEED, code, draw, require_codes, title
from .maps import objects_of
from .still import captioned, map_tile, png

TILES = 12
MOST_KEPT = 24
FIRST_STEP = 0.5  # how far "more like this" goes at first; each further time half as far
LAST_STEP = 0.001


class Sampling(Core):
    """The sampler's core: `tiles` and `kept` are recipes of style codes (see looks.code), each with its picture."""

    actions = ("fresh", "keep", "let_go", "around", "blend")

    def __init__(
        self, generator: Generator, label: Integer[Tensor, "h w"], labels: LabelSpace,
        instance: Integer[Tensor, "h w"] | None = None,
    ):  # fmt: skip
        labels.check(label)
        self.generator, self.labels, self.label = DrawingCopy(generator), labels, label.long()
        self.instance = objects_of(label, instance)
        self.z_dim = require_codes(generator)
        self.kept: list[tuple[dict, Tensor]] = []
        self.blended: tuple[dict, Tensor] | None = None
        self.fresh({"seed": 0}, [])

    def pictures(self, recipes: list[dict]) -> list[tuple[dict, Tensor]]:
        """Each recipe with its picture, uint8 (h, w, 3)."""
        codes = torch.stack([code(recipe, self.z_dim) for recipe in recipes])
        return list(zip(recipes, draw(self.generator.present(), self.labels, self.label, self.instance, codes)))

    def fresh(self, request: dict, buffers: list) -> None:
        """Fill the grid with independent draws, from seed `seed` upwards."""
        self.seed = whole_number(request, "seed", 0, MOST_SEED - TILES)
        self.tiles = self.pictures([{"seed": self.seed + i} for i in range(TILES)])

    def around(self, request: dict, buffers: list) -> None:
        """Fill the grid with draws around tile `tile`, which comes first; half as far each further time."""
        centre = self.tiles[whole_number(request, "tile", 0, len(self.tiles) - 1)][0]
        step = centre.get("step", 2 * FIRST_STEP) / 2
        if step < LAST_STEP:
            raise UserError("These are as near to each other as it gets: draw new ones.")
        near = [{"around": centre, "step": step, "seed": self.seed + i} for i in range(1, TILES)]
        self.tiles = self.pictures([centre, *near])

    def keep(self, request: dict, buffers: list) -> None:
        """Keep tile `tile`, or let it go if it is kept; the oldest goes when there are too many."""
        recipe, picture = self.tiles[whole_number(request, "tile", 0, len(self.tiles) - 1)]
        others = [kept for kept in self.kept if kept[0] != recipe]
        if len(others) == len(self.kept):
            others = [*others, (recipe, picture)][-MOST_KEPT:]
        self.kept = others
        self.blended = None

    def let_go(self, request: dict, buffers: list) -> None:
        """Keep the kept look number `kept` no longer, whether or not its tile is still in the grid."""
        del self.kept[whole_number(request, "kept", 0, len(self.kept) - 1)]
        self.blended = None

    def blend(self, request: dict, buffers: list) -> None:
        """Make the picture at `at` (0 to 1) between the kept ones `first` and `second`."""
        first, second = (self.kept[whole_number(request, n, 0, len(self.kept) - 1)][0] for n in ("first", "second"))
        (self.blended,) = self.pictures([{"between": [first, second], "at": fraction(request, "at")}])

    def state(self) -> dict:
        """Tiles, kept ones and the one between, each a PNG file that carries its recipe."""
        kept = [recipe for recipe, _ in self.kept]
        return {
            "seed": self.seed,
            "label": png(self.labels.colourise(self.label)),
            "tiles": [_tile(*tile) | {"kept": tile[0] in kept} for tile in self.tiles],
            "kept": [_tile(*tile) for tile in self.kept],
            "blended": self.blended and _tile(*self.blended) | {"at": self.blended[0]["at"]},
        }

    def still(self) -> Image.Image:
        """The label map, then the grid."""
        tiles = [(title(recipe), picture) for recipe, picture in self.tiles]
        return captioned([("label map", map_tile(self.label, self.labels)), *tiles[:7]], 4)

    def __repr__(self) -> str:
        return f"{self.label.shape[0]}x{self.label.shape[1]}, z of {self.z_dim}"


def _tile(recipe: dict, picture: Tensor) -> dict:
    return {"title": title(recipe), "png": png(picture, recipe)}


class Sampler(Tool[Sampling]):
    """A grid of looks of one label map: click one to keep it, ask for more like it, walk between two kept ones.

    label, instance: (h, w). After use: `kept` (recipes), `codes()` (their z, for the generator).
    """

    _esm = script("common.js", "sampler.js")

    def __init__(
        self, generator: Generator, label: Integer[Tensor, "h w"], labels: LabelSpace,
        instance: Integer[Tensor, "h w"] | None = None,
    ):  # fmt: skip
        super().__init__(Sampling(generator, label, labels, instance))

    @property
    def kept(self) -> list[dict]:
        """The recipes of the kept looks."""
        return [recipe for recipe, _ in self.core.kept]

    def codes(self) -> Tensor:
        """The kept style codes, (number kept, z_dim). Errors: a UserError where none is kept."""
        if not self.kept:
            raise UserError("Nothing is kept yet: click a picture of the sampler.")
        return torch.stack([code(recipe, self.core.z_dim) for recipe in self.kept])

    def save(self, path: str | Path, kept: int = -1) -> None:
        """Write a kept picture (default: the last) as a PNG that carries its recipe (`looks.read_recipe`)."""
        if not self.kept:
            raise UserError("Nothing is kept yet: click a picture of the sampler.")
        recipe, picture = self.core.kept[kept]
        write_whole(Path(path), png(picture, recipe))
