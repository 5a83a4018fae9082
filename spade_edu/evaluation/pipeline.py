"""From images, or from a generator, to figures: the one way that the demo, `evaluate` and `reproduce` all go."""

from collections.abc import Sequence
from functools import cached_property
from pathlib import Path

import torch
from jaxtyping import UInt8
from torch import Tensor

from ..errors import UserError
from ..generators import Generator
from ..sampling import paint
from .frechet import FeatureStatistics
from .images import Originals
from .protocol import default_protocol, protocol
from .scoring import Judges, Scores, generated_statistics, judges_of, real_side, real_statistics, score
from .subjects import Place


class Scorer:
    """Scores images of one place under one protocol; labels, judges and the real side are made ready once.

    name: of the protocol; "" for the data set's own. segmenter: another than the protocol's, by its name. judges: None
    takes the protocol's. known: real sides gathered so
    far, shared by the Scorers of several protocols. file: of the real side's features: read if it is there, else
    written. device: where generators and judges compute.
    """

    def __init__(
        self,
        place: Place,
        name: str = "",
        *,
        segmenter: str = "",
        judges: Judges | None = None,
        known: dict[str, FeatureStatistics] | None = None,
        file: Path | None = None,
        device: str | torch.device = "cpu",
    ):
        self.place, self.device, self.file = place, torch.device(device), file
        self.plan = protocol(name or default_protocol(place.data), place.data, segmenter)
        self.judges = judges or judges_of(self.plan, device=self.device, size=place.size)
        self.known = {} if known is None else known

    @cached_property
    def originals(self) -> Originals:
        """The label maps, with the photographs that belong to them."""
        return self.place.originals(full=self.plan.full)

    def images(self, generator: Generator, seed: int = 0) -> list[UInt8[Tensor, "3 h w"]]:
        """What a generator paints for the label maps."""
        return paint(generator, self.place.inputs(), count=len(self.originals), device=self.device, seed=seed)

    def score(
        self, images: Sequence[UInt8[Tensor, "3 h w"]], *, fake: FeatureStatistics | None = None, seed: int = 0
    ) -> Scores:
        """The figures of images, one for each label map. fake: their features, where known; seed: of the bootstrap."""
        if self.judges.features is None:
            return score(images, self.originals, self.plan, self.judges, seed=seed)
        fake = fake or generated_statistics(images, self.judges)
        return score(images, self.originals, self.plan, self.judges, self.real(), fake, seed=seed)

    def bound(self) -> Scores:
        """The figures of the photographs themselves: nobody can be expected to pass them."""
        return self.score([self.originals[i].image for i in range(len(self.originals))])

    def real(self) -> FeatureStatistics:
        """The features of the photographs that the protocol compares with."""
        plan, place = self.plan, self.place
        originals = self.originals if plan.real_split == "val" else place.originals(plan.real_split, plan.full)
        about = real_side(plan, originals, place.size)
        if about not in self.known:
            self.known[about] = self._read(about) or self._gather(originals)
        return self.known[about]

    def _read(self, about: str) -> FeatureStatistics | None:
        if self.file is None or not self.file.is_file():
            return None
        assert self.judges.features is not None  # without features nobody asks for the real side
        statistics = FeatureStatistics.load(self.file)
        if (statistics.about, statistics.features) != (about, self.judges.features.name):
            raise UserError(f"{self.file} holds features of {statistics.about}; this protocol compares with {about}.")
        return statistics

    def _gather(self, originals: Originals) -> FeatureStatistics:
        statistics = real_statistics(originals, self.plan, self.judges, self.place.size)
        if self.file is not None:
            statistics.save(self.file)
        return statistics
