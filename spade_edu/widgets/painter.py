"""Paint a label map and see the picture that a generator makes of it."""

from collections.abc import Sequence
from pathlib import Path

from jaxtyping import Float, Integer
from PIL import Image
from torch import Tensor

from ..data.base import Dataset
from ..errors import UserError
from ..generators import Generator
from ..labels import LabelSpace
from ..pictures import png_bytes, save_png
from .host import Core, Tool, script, whole_number
from .looks import MOST_SEED, code, draw, require_codes
from .maps import EditedMap, blank, ids_picture, image_size
from .still import captioned, legend_of, png


class Painting(Core):
    """The painter's core: `map` is edited, `image` (h, w, 3) uint8 follows it."""

    actions = ("paint", "load", "look")

    def __init__(self, generator: Generator, edited: EditedMap, z: Float[Tensor, "..."] | None = None):
        self.generator, self.map, self.z = generator, edited, z
        self.seed: int | None = None  # None: the look is fixed
        if z is None and generator.z_dim is not None:
            self.choose(seed=0)
        self.draw()

    def choose(self, seed: int) -> None:
        """Take the style code that is drawn from `seed`."""
        self.seed, self.z = seed, code({"seed": seed}, require_codes(self.generator))

    def draw(self) -> None:
        """Generate the picture of the present map."""
        codes = None if self.z is None else self.z.reshape(1, -1)
        self.image = draw(self.generator, self.map.labels, self.map.label, self.map.instance, codes)[0]

    def paint(self, request: dict, buffers: list) -> None:
        """A stroke was painted: the whole map comes."""
        self.map.paint(request, buffers)
        self.draw()

    def load(self, request: dict, buffers: list) -> None:
        """A scene of the data set was chosen."""
        self.map.load(request)
        self.draw()

    def look(self, request: dict, buffers: list) -> None:
        """Another style code was asked for, by its seed."""
        if self.seed is None:
            raise UserError("This painter's look is fixed: its code was given, or its generator takes none.")
        self.choose(whole_number(request, "seed", 0, MOST_SEED))
        self.draw()

    def state(self) -> dict:
        """Map, picture, the map as a PNG of ids."""
        return {
            "map": self.map.state(),
            "image": png(self.image),
            "saved": png_bytes(ids_picture(self.map.label, self.map.labels)),
            "seed": self.seed,
        }

    def still(self) -> Image.Image:
        """Map and picture side by side, the classes named below."""
        tiles = [("label map", self.map.colours()), ("generated", self.image)]
        return captioned(tiles, 2, legend_of(self.map.label, self.map.labels))

    def __repr__(self) -> str:
        return f"{self.map.size[0]}x{self.map.size[1]}, {self.map.labels.name}"


class Painter(Tool[Painting]):
    """Paint a label map with the mouse, a pen, a finger or the keyboard; the picture follows each stroke.

    label: (h, w) ids to start from (default: an empty scene); instance: its object ids. z: a fixed style code
    (default: drawn from a seed that can be changed in the widget). scenes: a data set whose label maps can be loaded.
    classes: names that the palette offers (default: the scored ones). After painting: `label`, `image`, `counts()`.
    """

    _esm = script("common.js", "canvas.js", "painter.js")

    def __init__(
        self, generator: Generator, labels: LabelSpace, label: Integer[Tensor, "h w"] | None = None,
        z: Float[Tensor, "..."] | None = None, *, instance: Integer[Tensor, "h w"] | None = None,
        scenes: Dataset | None = None, classes: Sequence[str] | None = None,
    ):  # fmt: skip
        if label is None:
            label = blank(labels, image_size(generator))
        super().__init__(Painting(generator, EditedMap(labels, label, instance, scenes=scenes, classes=classes), z))

    @property
    def label(self) -> Integer[Tensor, "h w"]:
        """The painted label map."""
        return self.core.map.label

    @property
    def image(self) -> Tensor:
        """The generated picture, uint8 (h, w, 3)."""
        return self.core.image

    def counts(self) -> dict[str, int]:
        """Pixels of each class on the canvas."""
        return self.core.map.counts()

    def save(self, path: str | Path) -> None:
        """Write the painted map as a PNG whose pixel values are the class ids."""
        save_png(ids_picture(self.label, self.core.map.labels), Path(path))
