"""The user study of the paper (section 4, Table 2): two pictures of one label map, which fits it better?"""

import random
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from jaxtyping import Float, UInt8
from PIL import Image
from torch import Tensor

from ..errors import UserError
from ..evaluation.user_study import append_choice, load_choices
from ..pictures import to_uint8
from .host import Core, Tool, is_number, script, short_text
from .still import captioned, png

LONGEST = 24 * 3600  # seconds for an answer
SIDES = ("left", "right")


@dataclass(frozen=True)
class PicturePair:
    """One question. mask: the label map's name; images: two systems' pictures in [-1, 1] of it; label: its colours."""

    mask: str
    images: dict[str, Float[Tensor, "3 _ _"]]
    label: UInt8[Tensor, "_ _ 3"]

    def __post_init__(self) -> None:
        if len(self.images) != 2:
            raise UserError(f"{self.mask}: a pair has the pictures of two systems, not of {len(self.images)}.")


class Comparison(Core):
    """The study's core: pairs in random order, each with random sides; every answer is written at once.

    Order and sides are drawn anew for each participant, so that habits and fatigue average out: from `seed`, or
    unpredictably without one. No system's name goes to the browser.
    """

    actions = ("begin", "choose")

    def __init__(self, pairs: Sequence[PicturePair], path: str | Path, seed: int | None = None):
        if not pairs:
            raise UserError("A study needs at least one pair of pictures.")
        self.path, self.at, self.participant, self._dice = Path(path), 0, "", random.Random(seed)
        self._shuffle(pairs)

    def _shuffle(self, pairs: Sequence[PicturePair]) -> None:
        self.pairs = self._dice.sample(pairs, len(pairs))
        self.systems = [self._dice.sample(sorted(pair.images), 2) for pair in self.pairs]  # left, right

    def begin(self, request: dict, buffers: list) -> None:
        """Somebody starts, under a name that keeps people apart."""
        name = short_text(request, "participant", 41)
        if not 1 <= len(name) <= 40:
            raise UserError("Type a name or a number of 1 to 40 characters that nobody else uses.")
        if name in self._names():
            raise UserError(f"{name} has answered already, as {self.path.name} says: take a name that nobody has used.")
        self.participant, self.at = name, 0
        self._shuffle(self.pairs)

    def _names(self) -> set[str]:
        """Whoever has an answer in the results file."""
        if not self.path.exists():
            return set()
        return {choice.participant for choice in load_choices(self.path)}

    def choose(self, request: dict, buffers: list) -> None:
        """The answer to pair `pair`; one that was answered already (in another view) is refused."""
        side, seconds = request.get("side"), request.get("seconds")
        if not self.participant or self.at == len(self.pairs) or request.get("pair") != self.at:
            raise UserError("This pair is not being asked: it was answered already, or nobody has begun.")
        if side not in SIDES or not is_number(seconds) or not 0 <= seconds <= LONGEST:
            raise UserError(
                f"Expected 'left' or 'right' and the seconds it took, got {side!r:.40} and {seconds!r:.40}."
            )
        left, right = self.systems[self.at]
        append_choice(
            self.path, mask=self.pairs[self.at].mask, left=left, right=right, chosen=side,
            seconds=round(float(seconds), 2), participant=self.participant,
        )  # fmt: skip
        self.at += 1

    def shown(self) -> dict[str, Tensor]:
        """The pictures of the present pair: label, left, right, uint8 (h, w, 3)."""
        at = min(self.at, len(self.pairs) - 1)
        pair = self.pairs[at]
        sides = {side: to_uint8(pair.images[system]) for side, system in zip(SIDES, self.systems[at])}
        return {"label": pair.label} | sides

    def state(self) -> dict:
        """How far the study is, and the present pair."""
        asking = bool(self.participant) and self.at < len(self.pairs)
        pictures = {name: png(picture) for name, picture in self.shown().items()} if asking else {}
        return {"begun": bool(self.participant), "pair": self.at, "pairs": len(self.pairs)} | pictures

    def still(self) -> Image.Image:
        """The present pair, names hidden."""
        return captioned(list(self.shown().items()), 3)

    def __repr__(self) -> str:
        return f"{len(self.pairs)} pairs"


class Study(Tool[Comparison]):
    """Ask people which of two pictures fits a label map better; answers go to the results file `path`.

    Analysis: `evaluation.user_study.load_choices` and `preferences`.
    """

    _esm = script("common.js", "study.js")

    def __init__(self, pairs: Sequence[PicturePair], path: str | Path, *, seed: int | None = None):
        super().__init__(Comparison(pairs, path, seed))
