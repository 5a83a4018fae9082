"""The look of a picture on another street: reference pictures go through the style encoder."""

from collections.abc import Sequence

import torch
from jaxtyping import Float, Integer
from PIL import Image
from torch import Tensor

from ..encoder import StyleEncoder
from ..errors import UserError
from ..generators import Generator
from ..labels import LabelSpace
from ..pictures import to_uint8
from .copies import DrawingCopy
from .host import Core, Tool, fraction, script, short_text, whole_number
from .looks import MOST_SEED, between, code, draw, require_codes
from .maps import objects_of
from .references import read_upload, style_of
from .still import captioned, png

MOST_CARDS = 12


class StyleTransfer(Core):
    """The style board's core. Card i: a reference picture, its code mu = E(reference), a strength s, the result.

    The result's code goes from a base look (drawn from `seed`, s = 0) to mu (s = 1) along `looks.between`.
    """

    actions = ("strength", "upload", "remove", "look")

    def __init__(
        self, generator: Generator, encoder: StyleEncoder, label: Integer[Tensor, "h w"], labels: LabelSpace,
        references: Sequence[Float[Tensor, "3 _ _"]], instance: Integer[Tensor, "h w"] | None = None,
    ):  # fmt: skip
        labels.check(label)
        self.generator, self.encoder = DrawingCopy(generator), DrawingCopy(encoder)
        self.labels, self.label = labels, label.long()
        self.instance = objects_of(label, instance)
        self.z_dim, self.seed = require_codes(generator), 0
        if encoder.z_dim != self.z_dim:
            raise UserError(f"The encoder gives codes of {encoder.z_dim} numbers, the generator takes {self.z_dim}.")
        self.cards: list[dict] = []
        for number, reference in enumerate(references):
            self.add(f"reference {number + 1}", reference)
        self.draw()

    def add(self, name: str, reference: Float[Tensor, "3 _ _"]) -> None:
        """Add a card for a picture in [-1, 1]."""
        if len(self.cards) == MOST_CARDS:
            raise UserError(f"The board is full: it holds {MOST_CARDS} pictures. Remove one first.")
        mu = style_of(self.encoder.present(), reference)
        self.cards.append({"name": name, "reference": to_uint8(reference), "mu": mu, "strength": 1.0})

    def draw(self) -> None:
        """Make every card's result."""
        base = code({"seed": self.seed}, self.z_dim)
        self.codes = torch.stack([base, *(between(base, card["mu"], card["strength"]) for card in self.cards)])
        self.base, *self.results = draw(self.generator.present(), self.labels, self.label, self.instance, self.codes)

    def strength(self, request: dict, buffers: list) -> None:
        """Change the strength of card `card`."""
        card = self.cards[whole_number(request, "card", 0, len(self.cards) - 1)]
        card["strength"] = fraction(request, "strength")
        self.draw()

    def look(self, request: dict, buffers: list) -> None:
        """Change the base look."""
        self.seed = whole_number(request, "seed", 0, MOST_SEED)
        self.draw()

    def upload(self, request: dict, buffers: list) -> None:
        """Add a card for a picture file from the browser."""
        height, width = self.label.shape
        self.add(short_text(request, "name") or "upload", read_upload(buffers, (height, width)))
        self.draw()

    def remove(self, request: dict, buffers: list) -> None:
        """Take card `card` off the board."""
        del self.cards[whole_number(request, "card", 0, len(self.cards) - 1)]
        self.draw()

    def state(self) -> dict:
        """The label map, the base look and the cards; each result carries the recipe of its style code."""
        cards = [
            {
                "name": card["name"], "strength": card["strength"], "reference": png(card["reference"]),
                "result": png(result, {"style": f"{card['name']}, strength {card['strength']:g}", "z": z.tolist()}),
            }
            for card, result, z in zip(self.cards, self.results, self.codes[1:])
        ]  # fmt: skip
        label = png(self.labels.colourise(self.label))
        return {"seed": self.seed, "label": label, "base": png(self.base), "cards": cards}

    def still(self) -> Image.Image:
        """Label map and base look, then each reference beside its result."""
        tiles = [("label map", self.labels.colourise(self.label)), (f"look of seed {self.seed}", self.base)]
        for card, result in zip(self.cards, self.results):
            tiles += [(card["name"], card["reference"]), (f"in its style, strength {card['strength']:g}", result)]
        return captioned(tiles, 4)

    def __repr__(self) -> str:
        return f"{len(self.cards)} references, z of {self.z_dim}"


class StyleBoard(Tool[StyleTransfer]):
    """Reference pictures, each beside the label map painted in its style, with a strength; more can be uploaded.

    references: pictures (3, h, w) in [-1, 1]; label, instance: (h, w).
    """

    _esm = script("common.js", "style_board.js")

    def __init__(
        self, generator: Generator, encoder: StyleEncoder, label: Integer[Tensor, "h w"], labels: LabelSpace,
        references: Sequence[Float[Tensor, "3 _ _"]], *, instance: Integer[Tensor, "h w"] | None = None,
    ):  # fmt: skip
        super().__init__(StyleTransfer(generator, encoder, label, labels, references, instance))
