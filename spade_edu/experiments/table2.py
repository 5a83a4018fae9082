"""Table 2, the user study: what a class answered, beside the paper's. The answers come from the widget `study`."""

from pathlib import Path

from ..errors import UserError
from ..evaluation import user_study
from .paper import SOURCES, TABLES


def report(files: list[Path]) -> str:
    """The answers in one or several results files, counted together, beside the paper's Table 2.

    Errors: a UserError without files, or where a file holds no answer about SPADE.
    """
    if not files:
        raise UserError(
            "table2 counts answers: give the results files of a user study, as in "
            "`spade-edu reproduce table2 a.jsonl b.jsonl`."
        )
    choices = user_study.load_choices(*files)
    found = user_study.preferences(choices)
    if not found:
        raise UserError(f"{', '.join(map(str, files))}: no answer compares SPADE with another system.")
    paper = TABLES[2]
    lines = [
        f"Table 2. {paper.title}",
        f"Here: {len(choices)} answers in {len(files)} file(s)",
        user_study.render(found),
    ]
    heads = "".join(f"{column:>16}" for column in paper.columns)
    lines += ["", f"{'The paper':24}{heads}   source"]
    for row in paper.rows:
        cells = "".join(f"{cell:>16}" for cell in row.cells)
        lines.append(f"{row.name:24}{cells}   {' '.join(row.sources)}")
    lines += [
        "The paper: 500 questions a data set and comparison, 5 people each, unlimited time. [text]",
        "The interval is exact if answers are independent; several of one person are not quite, so it is too narrow.",
        *(f"{mark:12} {SOURCES[mark]}" for mark in sorted({s for row in paper.rows for s in row.sources})),
    ]
    return "\n".join(lines)
