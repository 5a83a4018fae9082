"""Paint a label map and see the picture that a generator makes of it, in any of several looks."""

import hashlib
from collections.abc import Mapping, Sequence
from pathlib import Path
from time import perf_counter

import numpy as np
import torch
from jaxtyping import Float, Integer
from PIL import Image
from torch import Tensor

from ..data.base import Dataset
from ..encoder import StyleEncoder
from ..errors import UserError
from ..generators import Generator
from ..labels import LabelSpace
from ..pictures import png_bytes, save_png
from .copies import DrawingCopy
from .host import Core, Tool, script, short_text, whole_number
from .looks import MOST_SEED, code, draw, title
from .maps import CANVAS, EditedMap, blank, ids_picture, image_size
from .references import read_map, read_upload, style_of
from .stamps import Stamps
from .still import captioned, legend_of, map_tile, png

DRAWS = 4  # looks that are drawn from N(0, 1)
MOST_LOOKS = 16
THUMBNAIL = (96, 48)  # at most, in pixels
SCRIPTS = (*CANVAS, "painter.js")


class Look:
    """One look of the painted map: a recipe of a style code, and a thumbnail of the map number `version` in it."""

    def __init__(self, recipe: dict):
        self.recipe, self.version, self.thumbnail = recipe, -1, b""

    def show(self, picture: Tensor, version: int) -> None:
        """Take a picture, uint8 (h, w, 3), as the thumbnail."""
        small = Image.fromarray(picture.numpy())
        small.thumbnail(THUMBNAIL)
        self.thumbnail, self.version = png_bytes(small), version


class Painting(Core):
    """The painter's core: `map` is edited, `image` (h, w, 3) uint8 follows it, in the look number `chosen`.

    z: one fixed style code. styles: named ones (1, z_dim), which come before those that are drawn. encoder: gives the
    style of any picture. network: what the page says of the generator, a few words. beside: name and generator of
    another network, whose picture of the same map stands beside it.
    """

    actions = ("paint", "load", "open", "look", "thumbnail", "draws", "style", "enlarge", "stamps")

    def __init__(
        self, generator: Generator, edited: EditedMap, z: Float[Tensor, "..."] | None = None, *,
        styles: Mapping[str, Tensor] | None = None, encoder: StyleEncoder | None = None, network: str = "",
        beside: tuple[str, Generator] | None = None,
    ):  # fmt: skip
        self.generator, self.map = DrawingCopy(generator), edited
        self.beside = beside and (beside[0], DrawingCopy(beside[1]))
        self.encoder = None if encoder is None else DrawingCopy(encoder)
        self.network = network or type(generator).__name__
        self.objects = Stamps(edited.scenes, edited.labels)
        self.named: list[Look] = []
        self.drawn: list[Look] = []
        self.chosen, self.version, self.fixed = 0, 0, z is not None
        if z is not None:
            self.named = [_look_of("given", z)]
        elif generator.z_dim is not None:
            self.named = [_look_of(name, style) for name, style in (styles or {}).items()]
            self._draw_from(0)
        self.draw()

    @property
    def looks(self) -> list[Look]:
        """All looks in the order of the strip; none for a generator without style codes."""
        return self.named + self.drawn

    def draw(self) -> None:
        """Generate the picture of the present map."""
        started = perf_counter()
        self.image, self.large = self.picture(self.chosen), b""
        self.seconds = perf_counter() - started
        if self.beside:
            self.other = self._drawn_by(self.beside[1].present(), {"seed": 0})
        if self.looks:
            self.looks[self.chosen].show(self.image, self.version)

    def picture(self, number: int) -> Tensor:
        """The present map in look `number`, uint8 (h, w, 3)."""
        return self._drawn_by(self.generator.present(), self.looks[number].recipe if self.looks else {})

    def _drawn_by(self, generator: Generator, recipe: dict) -> Tensor:
        codes = None if generator.z_dim is None else code(recipe, generator.z_dim)[None]
        return draw(generator, self.map.labels, self.map.label, self.map.instance, codes)[0]

    def paint(self, request: dict, buffers: list) -> None:
        """A stroke was painted: the whole map comes."""
        self.map.paint(request, buffers)
        self._changed()

    def load(self, request: dict, buffers: list) -> None:
        """A scene of the data set was chosen."""
        self.map.load(request)
        self._changed()

    def open(self, request: dict, buffers: list) -> None:
        """A map that was saved was opened."""
        self.map.open(read_map(buffers, self.map.size, self.map.labels))
        self._changed()

    def _changed(self) -> None:
        self.version += 1
        self.draw()

    def look(self, request: dict, buffers: list) -> None:
        """Another look of the strip was chosen."""
        self.chosen = self._number(request)
        self.draw()

    def thumbnail(self, request: dict, buffers: list) -> None:
        """Bring one thumbnail of the strip up to date: views ask when nothing else is to do."""
        number = self._number(request)
        if self.looks[number].version != self.version:
            self.looks[number].show(self.picture(number), self.version)

    def draws(self, request: dict, buffers: list) -> None:
        """Other draws from N(0, 1), from seed `seed` upwards; the first of them is chosen."""
        self._require_looks()
        self._draw_from(whole_number(request, "seed", 0, MOST_SEED - DRAWS))
        self.chosen = len(self.named)
        self.draw()

    def style(self, request: dict, buffers: list) -> None:
        """A picture's style becomes a look, and is chosen."""
        if self.encoder is None or self.fixed:
            raise UserError("This painter takes no styles from pictures: its network has no style encoder.")
        if len(self.looks) == MOST_LOOKS:
            raise UserError(f"The strip is full: it holds {MOST_LOOKS} looks.")
        mu = style_of(self.encoder.present(), read_upload(buffers, self.map.size))
        self.named.append(_look_of(short_text(request, "name") or "picture", mu))
        self.chosen = len(self.named) - 1
        self.draw()

    def enlarge(self, request: dict, buffers: list) -> None:
        """Make the picture that Save 4x saves."""
        height, width = self.image.shape[:2]
        large = Image.fromarray(self.image.numpy()).resize((4 * width, 4 * height), Image.Resampling.LANCZOS)
        self.large = png(torch.from_numpy(np.array(large)), self.recipe() | {"enlarged": 4})

    def stamps(self, request: dict, buffers: list) -> None:
        """Look for objects to place in a few more scenes: views ask when nothing else is to do."""
        self.objects.seek()

    def _draw_from(self, seed: int) -> None:
        self.drawn = [Look({"seed": seed + i}) for i in range(DRAWS)]

    def _number(self, request: dict) -> int:
        self._require_looks()
        return whole_number(request, "look", 0, len(self.looks) - 1)

    def _require_looks(self) -> None:
        if self.fixed or not self.looks:
            raise UserError("This painter's look is fixed: its code was given, or its generator takes none.")

    def recipe(self) -> dict:
        """What the picture is made from: look, network, and a hash of the map's ids."""
        look = self.looks[self.chosen].recipe if self.looks else {}
        ids = self.map.label.to(torch.uint8).numpy().tobytes()
        return look | {"network": self.network, "map": hashlib.sha256(ids).hexdigest()[:16], "scene": self.map.scene}

    def state(self) -> dict:
        """Map, picture, the map as a PNG of ids, the strip of looks."""
        looks = [
            {"name": title(look.recipe), "png": look.thumbnail, "fresh": look.version == self.version}
            for look in self.looks
        ]
        height, width = self.image.shape[:2]
        photo = self.map.photo()
        beside = {"name": self.beside[0], "png": png(self.other)} if self.beside else None
        return {
            "map": self.map.state(),
            "image": png(self.image, self.recipe()),
            "large": self.large,
            "beside": beside,
            "photo": b"" if photo is None else png(photo),
            "saved": png_bytes(ids_picture(self.map.label, self.map.labels)),
            "looks": [] if self.fixed else looks,
            "chosen": self.chosen,
            "stamps": self.objects.state(),
            "takesPictures": self.encoder is not None and not self.fixed,
            "network": f"{self.network}, {height}x{width}",
            "seconds": round(self.seconds, 2),
        }

    def still(self) -> Image.Image:
        """Map and picture side by side, the classes named below."""
        tiles = [("label map", map_tile(self.map.label, self.map.labels)), ("generated", self.image)]
        return captioned(tiles, 2, legend_of(self.map.label, self.map.labels))

    def __repr__(self) -> str:
        return f"{self.map.size[0]}x{self.map.size[1]}, {self.map.labels.name}"


def _look_of(name: str, z: Tensor) -> Look:
    return Look({"style": name, "z": z.detach().flatten().tolist()})


class Painter(Tool[Painting]):
    """Paint a label map with the mouse, a pen, a finger or the keyboard; the picture follows each stroke.

    label: (h, w) ids to start from (default: an empty scene); instance: its object ids. z: a fixed style code (default:
    a strip of looks). styles: named codes (1, z_dim) for the strip; encoder: takes the style of any picture. scenes: a
    data set whose label maps can be loaded. classes: names that the palette offers (default: the scored ones).
    It draws with a copy of the generator in evaluation mode, which follows the generator's weights.
    After painting: `label`, `image`, `counts()`.
    """

    _esm = script(*SCRIPTS)

    def __init__(
        self, generator: Generator, labels: LabelSpace, label: Integer[Tensor, "h w"] | None = None,
        z: Float[Tensor, "..."] | None = None, *, instance: Integer[Tensor, "h w"] | None = None,
        scenes: Dataset | None = None, classes: Sequence[str] | None = None, styles: Mapping[str, Tensor] | None = None,
        encoder: StyleEncoder | None = None,
    ):  # fmt: skip
        if label is None:
            label = blank(labels, image_size(generator))
        edited = EditedMap(labels, label, instance, scenes=scenes, classes=classes)
        super().__init__(Painting(generator, edited, z, styles=styles, encoder=encoder))

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
