"""The paper's Tables 1 to 5 as data, with the source of every row, beside what this package builds.

A row that was never checked against a copy of the paper carries the mark [memory] wherever it is printed.
"""

from dataclasses import dataclass
from functools import cache

import torch

from ..config import TrainingConfig
from ..models import build, count_parameters

ADE20K_CHANNELS = 151  # the label space that the paper's #param column fits

SOURCES = {
    "[image]": "read off a picture of the paper's own table in public reading notes",
    "[cited]": "leaderboard copies of Papers with Code (DanBmh/OpenCodePapers); agree with the picture",
    "[text]": "stated in the paper's text",
    "[= Table 3]": "the same model's cells in Table 3 are [image]; that this table repeats them is from memory",
    "[memory]": "from memory, NOT verified: look at the paper before quoting it",
}


@dataclass(frozen=True)
class Row:
    """One row: its name, cells (one per data set), sources (keys of SOURCES), and the paper's #param in millions.

    `settings` names the row of spade_edu.presets.ROWS that builds the model; None where this package has none.
    """

    name: str
    cells: tuple[str, ...]
    sources: tuple[str, ...]
    settings: str | None = None
    millions: int | None = None

    @property
    def verified(self) -> bool:
        """Whether the figures were checked against a copy of the paper."""
        return "[memory]" not in self.sources


@dataclass(frozen=True)
class Table:
    """One table of the paper: its number, title and rows; columns: the data sets. notes: what else is known of it."""

    number: int
    title: str
    columns: tuple[str, ...]
    rows: tuple[Row, ...]
    notes: tuple[str, ...] = ()


def _rows(text: str, *sources: str, built: bool = True) -> tuple[Row, ...]:
    """Rows from lines `name | cell | cell ...`; `built`: a row of presets.ROWS has the same name.

    A last cell [= Table 3] or [memory] adds to the sources; a cell such as 96M is the paper's #param.
    """
    rows = []
    for line in text.strip().splitlines():
        name, *cells = (cell.strip() for cell in line.split("|"))
        own = tuple(cell for cell in cells if cell in SOURCES)
        millions = [int(cell[:-1]) for cell in cells if cell[-1] == "M"]
        scores = tuple(cell for cell in cells if cell not in SOURCES and cell[-1] != "M")
        rows.append(Row(name, scores, sources + own, name if built else None, millions[0] if millions else None))
    return tuple(rows)


FOUR = ("COCO-Stuff", "ADE20K", "ADE20K-outdoor", "Cityscapes")
THREE = ("COCO-Stuff", "ADE20K", "Cityscapes")

TABLES = {
    1: Table(
        1,
        "Comparison with other methods: mIoU / pixel accuracy / FID",
        FOUR,
        _rows(
            """
            CRN       | 23.7 / 40.4 / 70.4  | 22.4 / 68.8 / 73.3 | 16.5 / 68.6 / 99.0 | 52.4 / 77.1 / 104.7
            SIMS      | n/a                 | n/a                | 13.1 / 74.7 / 67.7 | 47.2 / 75.5 / 49.7
            pix2pixHD | 14.6 / 45.8 / 111.5 | 20.3 / 69.2 / 81.8 | 17.4 / 71.6 / 97.8 | 58.3 / 81.4 / 95.0
            SPADE     | 37.4 / 67.9 / 22.6  | 38.5 / 79.9 / 33.9 | 30.8 / 82.9 / 63.3 | 62.3 / 81.9 / 71.8
            """,
            "[image]",
            "[cited]",
            built=False,
        ),
        (
            "The paper's text gives 35.2 for SPADE's COCO-Stuff mIoU, as do Tables 3 and 5. [text] [image]",
            "Scoring the released weights again gave others a Cityscapes accuracy of 93.5 and FID of 63.4 (official "
            "repository, issue 100). 81.9 counts void pixels, 12.58 % of the validation split, as wrong (TSIT, issue "
            "1): 93.5 x 0.8742 = 81.7. The FID network is another: pytorch-fid took torchvision's weights until "
            "27 May 2019 (its commit f64228c).",
        ),
    ),
    2: Table(
        2,
        "User study: % of answers that prefer SPADE",
        FOUR,
        _rows(
            """
            SPADE vs CRN       | 79.76 | 76.66 | 66.04 | 63.60
            SPADE vs pix2pixHD | 86.64 | 83.74 | 79.34 | 53.64
            SPADE vs SIMS      | n/a   | n/a   | 85.70 | 51.52
            """,
            "[image]",
            built=False,
        ),
    ),
    3: Table(
        3,
        "Effect of SPADE: mIoU",
        THREE,
        _rows(
            """
            decoder w/ SPADE         | 96M  | 35.2 | 38.5 | 62.3
            compact decoder w/ SPADE | 61M  | 35.2 | 38.0 | 62.5
            decoder w/ Concat        | 79M  | 31.9 | 33.6 | 61.1
            pix2pixHD++ w/ SPADE     | 237M | 34.4 | 39.0 | 62.2
            pix2pixHD++ w/ Concat    | 195M | 32.9 | 38.9 | 57.1
            pix2pixHD++              | 183M | 32.7 | 38.3 | 58.8
            compact pix2pixHD++      | 103M | 31.6 | 37.3 | 57.6
            pix2pixHD                | 183M | 14.6 | 20.3 | 58.3
            """,
            "[image]",
        ),
        (
            "The Concat and pix2pixHD++ w/ SPADE generators were never released: which layers see the map is read "
            "off #param (docs/paper-vs-code.md).",
        ),
    ),
    4: Table(
        4,
        "Variants of the SPADE generator: mIoU",
        THREE,
        _rows(
            """
            input: downsampled mask | 35.2 | 38.5 | 62.3 | [= Table 3]
            input: random noise     | 35.3 | 38.3 | 61.6
            kernel 5x5              | 35.0 | 39.3 | 61.8
            kernel 3x3              | 35.2 | 38.5 | 62.3 | [= Table 3]
            kernel 1x1              | 32.7 | 35.9 | 59.9
            141M params             | 35.3 | 38.3 | 62.5 | 141M
            96M params              | 35.2 | 38.5 | 62.3 | 96M | [= Table 3]
            61M params              | 35.2 | 38.0 | 62.5 | 61M | [= Table 3]
            Sync BatchNorm          | 35.0 | 39.3 | 61.8
            BatchNorm               | 33.7 | 37.9 | 61.8
            InstanceNorm            | 33.9 | 37.4 | 58.7
            """,
            "[memory]",
        ),
        (
            "A picture of this table is in public notes (Yagami360/machine-learning-papers-survey, issue 7); it wasn't "
            "compared yet, so the figures stay [memory]. The row Sync BatchNorm is doubtful: it equals kernel 5x5, and "
            "sync batch norm is the default.",
            "Verified statements: noise and mask as input perform alike; several norms work; 1x1 hurts; capacity was "
            "varied by the number of filters. [text]",
        ),
    ),
    5: Table(
        5,
        "Ablation of losses and training (appendix): mIoU",
        THREE,
        _rows(
            """
            ours                           | 35.2 | 38.5 | 62.3
            ours w/o perceptual loss       | 24.7 | 30.1 | 57.4
            ours w/o GAN feature matching  | 33.2 | 38.0 | 62.2
            ours w/ a deeper D             | 34.9 | 38.3 | 60.9
            pix2pixHD++ w/ SPADE           | 34.4 | 39.0 | 62.2
            pix2pixHD++                    | 32.7 | 38.3 | 58.8
            pix2pixHD++ w/o SyncBN         | 27.4 | 31.8 | 51.1
            pix2pixHD++ w/o SyncBN, w/o SN | 26.0 | 31.9 | 52.3
            pix2pixHD                      | 14.6 | 20.3 | 58.3
            """,
            "[image]",
        ),
        ("The deeper D has one more convolution than the usual one (appendix B). [text]",),
    ),
}


def parameters(row: Row, channels: int = ADE20K_CHANNELS) -> tuple[int, int] | None:
    """Trainable numbers of the row's generator and discriminator, counted now, at the paper's size.

    channels: of the label maps. The networks are built without memory for their weights.
    None where this package has no such model.
    """
    if row.settings is None:
        return None
    return _parameters(row.settings, channels)


@cache
def _parameters(model: str, channels: int) -> tuple[int, int]:
    with torch.device("meta"):
        networks = build(TrainingConfig(model=model), channels)
    return count_parameters(networks.generator), count_parameters(networks.discriminator)


def render(table: Table) -> str:
    """The table as text: the paper's figures with their marks, and the parameters of what is built here."""
    head = ["", *table.columns]
    counted = [parameters(row) for row in table.rows]
    if any(counted):
        head += ["#param, paper", "G here", "D here"]
    lines = [head + ["source"]]
    for row, count in zip(table.rows, counted):
        mark = "" if row.verified else " [memory]"
        cells = [row.name, *(cell + mark for cell in row.cells)]
        if any(counted):
            paper = "-"
            if row.millions is not None:
                paper = f"{row.millions}M{mark}"
            cells += [paper, *(f"{number / 1e6:.2f}M" for number in count or ())]
        lines.append(cells + [" ".join(row.sources)])
    widths = [max(len(line[i]) for line in lines) for i in range(len(lines[0]))]
    body = ["  ".join(cell.ljust(width) for cell, width in zip(line, widths)).rstrip() for line in lines]
    title = f"Table {table.number}. {table.title}"
    return "\n".join([title, *body, *(f"  Note: {note}" for note in table.notes)])


def legend() -> str:
    """What the marks mean."""
    return "\n".join(f"{mark:12} {meaning}" for mark, meaning in SOURCES.items())
