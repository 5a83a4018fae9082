"""Tables 1, 3, 4 and 5: each row trained with the same budget from several seeds, beside the paper's figures."""

import json
import statistics
from itertools import combinations
from pathlib import Path
from typing import Any

from ..files import write_whole
from ..pictures import save_figure
from ..presets import ROWS
from ..runs import plan
from .cells import Bench, Cell
from .paper import SOURCES, TABLES, Row

# Table 1's names for rows of Table 3.
TABLE1 = {"pix2pixHD": "pix2pixHD", "SPADE": "decoder w/ SPADE"}
FIGURES = ("miou", "accuracy", "fd")
TITLES = {"miou": "mIoU in %", "accuracy": "pixel accuracy in %", "fd": "FID"}
REAL = {"streets": "real renders"}
EYES = {
    "second_opinion": "a small segmenter of Streets that never scores",
    "own": "a small segmenter of the training pictures that never scores",
}
HERE = "#0072B2"
MARKERS = {
    "COCO-Stuff": ("o", "#CC79A7"), "ADE20K": ("^", "#009E73"), "ADE20K-outdoor": ("v", "#E69F00"),
    "Cityscapes": ("s", "#D55E00"),
}  # fmt: skip


def rows_of(number: int) -> dict[str, str]:
    """Names of a table's rows, in the paper's order, with the row of presets.ROWS or the system that is trained."""
    if number != 1:
        return {row.name: row.settings for row in TABLES[number].rows if row.settings is not None}
    from ..related import SYSTEMS

    rows = {row.name: TABLE1.get(row.name, row.name) for row in TABLES[1].rows} | {name: name for name in SYSTEMS}
    return {name: row for name, row in rows.items() if row in ROWS or row in SYSTEMS}


def reproduce(number: int, bench: Bench, seeds: int) -> dict:
    """Train and score what is missing of Table `number`; gives the table, which is also kept in OUT/tableN.json.

    Seeds are the outer loop, and the file is written anew after each cell: stopped early, it holds whole rounds.
    """
    rows, path = rows_of(number), bench.out / f"table{number}.json"
    cells = {(name, seed): bench.cell(row, seed) for seed in range(seeds) for name, row in rows.items()}
    print(f"Table {number}: {len(set(c.name for c in cells.values()))} trainings of {bench.steps} steps.", flush=True)
    if estimate := cost(bench, [cell for cell in cells.values() if bench.known(cell) is None]):
        print(estimate, flush=True)
    for done, ((name, seed), cell) in enumerate(cells.items(), 1):
        result = bench.result(cell)
        print(f"[{done}/{len(cells)}] {name}, seed {seed}: {_line(result)}", flush=True)
        write_whole(path, json.dumps(table(number, bench, cells), indent=1) + "\n")
    return json.loads(path.read_text(encoding="utf-8"))


def table(number: int, bench: Bench, cells: dict[tuple[str, int], Cell]) -> dict:
    """Everything that is known of a table: circumstances, then a row each with one entry a seed."""
    rows: dict[str, dict] = {name: {"name": name, "parameters": None, "seeds": []} for name, _ in cells}
    distance = ""
    for (name, seed), cell in cells.items():
        if (result := bench.known(cell)) is not None:
            figures = {key: round(result[key], 4) for key in FIGURES}
            rows[name]["seeds"].append({"seed": seed, **figures, "seconds": result["seconds"], "cell": cell.name})
            rows[name]["parameters"], distance = result["parameters"], result["distance_name"]
    for row in rows.values():
        values = {key: [entry[key] for entry in row["seeds"]] for key in FIGURES if row["seeds"]}
        row["mean"] = {key: round(statistics.mean(v), 4) for key, v in values.items()}
        row["std"] = {key: round(statistics.stdev(v), 4) if len(v) > 1 else None for key, v in values.items()}
    trained = {entry["cell"]: entry["seconds"] for row in rows.values() for entry in row["seeds"]}
    return {
        "table": number,
        "title": TABLES[number].title,
        **bench.circumstances(),
        "distance": distance,
        "seeds": min(len(row["seeds"]) for row in rows.values()),
        "minutes": round(sum(trained.values()) / 60, 1),
        "real": bench.bound and {key: round(bench.bound[key], 4) for key in FIGURES},
        "rows": list(rows.values()),
    }


def paper_row(number: int, name: str) -> Row | None:
    """The paper's row of that name; None for a system that the paper doesn't have."""
    return next((row for row in TABLES[number].rows if row.name == name), None)


def paper_figures(number: int, name: str, figure: str = "miou") -> list[float | None]:
    """The paper's mIoU or accuracy in percent, or FID, an entry a column (data set); None where it has none."""
    row, k = paper_row(number, name), FIGURES.index(figure)
    if row is None:
        return [None] * len(TABLES[number].columns)
    return [None if cell == "n/a" else float(cell.split(" / ")[k]) for cell in row.cells]


def figures_in(number: int) -> tuple[str, ...]:
    """Which figures the cells of a table hold: Table 1 all three, the others mIoU."""
    return FIGURES[: len(TABLES[number].rows[-1].cells[0].split(" / "))]


def agreement(result: dict, figure: str = "miou") -> dict[str, tuple[int, int]]:
    """For each of the paper's columns: pairs of rows whose means here are in its order, of all pairs that differ."""
    done = [row for row in result["rows"] if row["mean"]]
    found = {}
    for k, column in enumerate(TABLES[result["table"]].columns):
        paper = [paper_figures(result["table"], row["name"], figure)[k] for row in done]
        known = [(row["mean"][figure], value) for row, value in zip(done, paper) if value is not None]
        signs = [(a[0] - b[0]) * (a[1] - b[1]) for a, b in combinations(known, 2)]
        found[column] = sum(s > 0 for s in signs), sum(s != 0 for s in signs)
    return found


def render(result: dict) -> str:
    """The table as text: this run's figures beside the paper's, with the source of each row."""
    paper = TABLES[result["table"]]
    height, width = result["size"]
    heads = ["", "mIoU %", "accuracy %", result["distance"], "G", *(f"paper: {c}" for c in paper.columns), "source"]
    lines = [heads] + [_cells(result["table"], row, len(paper.columns)) for row in result["rows"]]
    if real := result["real"]:
        lines.append(
            [REAL.get(result["data"], "photographs"), *figure_cells(real, {}), ""] + [""] * (len(paper.columns) + 1)
        )
    widths = [max(len(line[i]) for line in lines) for i in range(len(heads))]
    sources = sorted({s for row in paper.rows for s in row.sources})
    return "\n".join([
        f"Table {paper.number}. {paper.title}. Here: {result['data']}, {height}x{width}, preset {result['preset']}, "
        f"{result['steps']} steps, mean ± standard deviation over {result['seeds']} seed(s)",
        *("  ".join(cell.ljust(size) for cell, size in zip(line, widths)).rstrip() for line in lines),
        *(_agreeing(result, figure) for figure in figures_in(paper.number)),
        *(f"Note: {note}" for note in (*paper.notes, *notes(result))),
        *(f"{mark:12} {SOURCES[mark]}" for mark in sources),
    ])  # fmt: skip


def _agreeing(result: dict, figure: str) -> str:
    counts = ", ".join(f"{column} {of} of {pairs}" for column, (of, pairs) in agreement(result, figure).items())
    return f"Pairs of rows in the paper's order by mean {TITLES[figure].removesuffix(' in %')}: {counts}."


def notes(result: dict) -> list[str]:
    """What has to be said of this run beside the paper's."""
    said = []
    if result["data"] == "streets":
        said.append("Streets is rendered and its judge small: only the order of rows compares with the paper.")
    if result["data"] == "cityscapes":
        said.append("The paper's Cityscapes accuracy counts void pixels as wrong; the one here leaves them out.")
    if eyes := EYES.get(result["perceptual_features"]):
        said.append(f"The perceptual loss looks at {eyes}, not at VGG-19. Judge and features know the same classes.")
    if result["table"] == 4:
        said.append("In one process sync batch norm is batch norm: the two rows are one training.")
    return said


def _cells(number: int, row: dict, columns: int) -> list[str]:
    size = "" if row["parameters"] is None else f"{row['parameters'] / 1e6:.2f}M"
    known = paper_row(number, row["name"])
    if known is None:
        return [row["name"], *figure_cells(row["mean"], row["std"]), size, *["-"] * columns, "not in the paper"]
    mark = "" if known.verified else " [memory]"
    cells = [cell + mark for cell in known.cells]
    return [row["name"], *figure_cells(row["mean"], row["std"]), size, *cells, " ".join(known.sources)]


def figure_cells(mean: dict, std: dict) -> list[str]:
    """mIoU and accuracy in percent and the distance, as text: mean ± standard deviation where there is one."""
    if not mean:
        return ["-"] * len(FIGURES)
    cells = []
    for key, factor, digits in (("miou", 100, 1), ("accuracy", 100, 1), ("fd", 1, 2)):
        cell = f"{factor * mean[key]:.{digits}f}"
        if std.get(key) is not None:
            cell += f" ± {factor * std[key]:.{digits}f}"
        cells.append(cell)
    return cells


def draw(result: dict, path: Path) -> None:
    """Rows in the paper's order: left this run, a dot a seed and the mean with its deviation; right the paper's."""
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure

    names, figures = [row["name"] for row in result["rows"]], figures_in(result["table"])
    size = 10, 0.9 + len(figures) * (0.7 + 0.32 * len(names))
    figure = Figure(figsize=size, layout="constrained")
    FigureCanvasAgg(figure)
    panels = figure.subplots(len(figures), 2, sharey=True, width_ratios=(3, 2), squeeze=False)
    for (here, paper), name in zip(panels, figures):
        _draw_here(here, result, name)
        _draw_paper(paper, result["table"], names, name)
        here.set_yticks(range(len(names)), names)
        here.set_ylim(len(names) - 0.5, -0.5)
        here.set_xlabel(result["distance"] if name == "fd" else TITLES[name])
        paper.set_xlabel(TITLES[name])
        for axes in (here, paper):
            axes.grid(color="#dddddd")
            axes.set_axisbelow(True)
            axes.spines[["top", "right"]].set_visible(False)
    bound = f"; dotted: {REAL.get(result['data'], 'photographs')}" if result["real"] else ""
    panels[0, 0].set_title(
        f"here: {result['data']}, {result['steps']} steps, {result['seeds']} seed(s){bound}", fontsize=10
    )
    verified = all(row.verified for row in TABLES[result["table"]].rows)
    panels[0, 1].set_title("the paper" + ("" if verified else " (from memory, not verified)"), fontsize=10)
    figure.legend(*panels[0, 1].get_legend_handles_labels(), frameon=False, ncols=4, loc="outside lower right")
    save_figure(figure, path)


def _draw_here(axes: Any, result: dict, figure: str) -> None:
    factor = 1 if figure == "fd" else 100
    for y, row in enumerate(result["rows"]):
        values = [factor * entry[figure] for entry in row["seeds"]]
        if values:
            spread = factor * (row["std"][figure] or 0)
            axes.errorbar(factor * row["mean"][figure], y, xerr=spread, fmt="o", color=HERE, capsize=3)
            axes.plot(values, [y] * len(values), ".", color=HERE, alpha=0.4)
    if result["real"]:
        axes.axvline(factor * result["real"][figure], color="#666666", linestyle=":")


def _draw_paper(axes: Any, number: int, names: list[str], figure: str) -> None:
    verified = all(row.verified for row in TABLES[number].rows)
    for k, column in enumerate(TABLES[number].columns):
        points = [(paper_figures(number, name, figure)[k], y) for y, name in enumerate(names)]
        xs, ys = zip(*((x, y) for x, y in points if x is not None))
        marker, colour = MARKERS[column]
        axes.plot(xs, ys, marker, color=colour, markerfacecolor=colour if verified else "white", label=column)


def cost(bench: Bench, missing: list[Cell]) -> str:
    """What trainings of the preset `paper` would take (runs/plan.py, by SPADE's arithmetic); "" for other presets."""
    if bench.preset_name != "paper" or not missing:
        return ""
    step = plan.simulate(bench.base, bench.val.labels, batch_size=1)
    images, (_, rate) = bench.steps * bench.base.batch_size, plan.CARDS["V100"]
    days = len({cell.name for cell in missing}) * plan.hours(step, images, 8, rate) / 24
    return (
        f"Estimated, not measured: {days:.0f} days on 8 V100, 8 times as long on the one GPU that this command uses "
        "(spade_edu/runs/plan.py says how). Ctrl-C stops, and the same command goes on."
    )


def _line(result: dict) -> str:
    miou, accuracy, distance = figure_cells(result, {})
    return f"mIoU {miou} %, accuracy {accuracy} %, {result['distance_name']} {distance} ({result['seconds']:.0f} s)"
