"""The demo's report: one HTML file that opens offline, with all pictures inside."""

import base64
import csv
import html
import io
from pathlib import Path

import torch
from PIL import Image

from ..data import Sample, stack
from ..data.streets import STYLES, Streets
from ..encoder import StyleEncoder
from ..evaluation.uniform import class_ids, uniform_images
from ..files import write_whole
from ..generators import Generator
from ..labels import CITYSCAPES
from ..models import Networks
from ..pictures import grid, headed, png_bytes, save_png, to_uint8
from ..runs.loading import load_networks
from ..runs.run import Run
from ..sampling import generate

MODELS = {"pix2pixhd": "pix2pixHD", "pix2pixhd_pp": "pix2pixHD++", "spade": "SPADE"}  # run folder: title
PAGE_STYLE = """
:root { color-scheme: light dark; --line: #8885; --soft: #8882; }
body { font: 16px/1.5 system-ui, sans-serif; max-width: 1100px; margin: 2rem auto; padding: 0 1rem; }
h2 { margin-top: 2.5rem; } nav { display: flex; flex-wrap: wrap; gap: .2rem 1.2rem; } table { border-collapse: collapse; } caption { text-align: left; }
th, td { padding: .25rem .6rem; text-align: right; border-bottom: 1px solid var(--line); }
th:first-child, td:first-child { text-align: left; } tr.best td { font-weight: 600; }
table.pictures { width: 100%; min-width: 640px; table-layout: fixed; } table.pictures th, table.pictures td { border: 0; padding: 3px; text-align: center; }
table.pictures td:first-child { text-align: center; } table.pictures th.row { text-align: right; font-weight: 400; }
table.pictures img { width: 100%; display: block; image-rendering: pixelated; cursor: zoom-in; }
table.pictures img:focus { position: fixed; inset: 5vh 2vw; z-index: 1; width: 96vw; height: 90vh; object-fit: contain;
background: #000c; cursor: zoom-out; } /* a click or Tab opens a picture, a click elsewhere closes it */
.chips { display: flex; flex-wrap: wrap; gap: .2rem .9rem; font-size: .85rem; } .chips i { display: inline-block;
width: .9em; height: .9em; margin-right: .35em; border: 1px solid var(--line); vertical-align: -.1em; }
pre { background: var(--soft); padding: .8rem; overflow-x: auto; } .scroll { overflow-x: auto; }
img.plot { width: 100%; background: white; }
"""


def write_report(out: Path, runs: dict[str, Run], report: dict) -> Path:
    """Write `out`/report.html from the trained runs and their figures."""
    config = runs["spade"].config
    scenes = Streets(report["scenes"], split="val", height=config.height, width=config.width)
    networks = {name: load_networks(run.folder, CITYSCAPES) for name, run in runs.items()}
    generators = {name: n.generator for name, n in networks.items()}
    parts = [
        f"<h1>What pix2pixHD, pix2pixHD++ and SPADE learned</h1><p>{_summary(report)}</p>",
        _figures(report),
        _side_by_side(scenes, generators),
        _uniform(scenes, generators, report),
        _styles(scenes, networks["spade"]),
        _curves(runs),
        _settings(report),
        _made_by(report),
    ]
    parts = [_with_contents(parts)]
    page = f"""<!doctype html><html lang="en"><head><meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1"><title>SPADE demo</title>
<style>{PAGE_STYLE}</style></head><body>{"".join(parts)}</body></html>"""
    write_whole(out / "report.html", page)
    save_png(overview(scenes, generators), out / "overview.png")
    return out / "report.html"


def _with_contents(parts: list[str]) -> str:
    """The page's parts, each h2 with an anchor, and links to them below the first."""
    title, *sections = parts
    links = []
    for number, section in enumerate(sections):
        head = section.partition("<h2>")[2].partition("</h2>")[0]
        sections[number] = section.replace("<h2>", f'<h2 id="part{number}">', 1)
        links.append(f'<a href="#part{number}">{head}</a>')
    return "".join([title, f"<nav>{''.join(links)}</nav>", *sections])


def overview(scenes: Streets, generators: dict, count: int = 5) -> Image.Image:
    """The first scenes as one picture, twice enlarged: label map, real render, then each generator."""
    columns = _columns(scenes, generators, min(count, len(scenes)))
    picture = grid([list(row) for row in zip(*columns.values())])
    return headed(picture.resize((2 * picture.width, 2 * picture.height), Image.Resampling.NEAREST), list(columns))


def _columns(scenes: Streets, generators: dict, count: int) -> dict[str, torch.Tensor]:
    batch = stack([scenes[i] for i in range(count)])
    columns = {"label map": CITYSCAPES.colourise(batch.label), "real render": to_uint8(batch.image)}
    painted = {MODELS[n]: to_uint8(generate(g, batch, CITYSCAPES, seed=3)) for n, g in generators.items()}
    return columns | painted


def _summary(report: dict) -> str:
    models, bound = report["models"], report["judge_bound"]["miou"]
    spade, base = models["spade"], models["pix2pixhd"]
    return (
        f"Trained on rendered streets for {spade['steps']} steps each. A segmenter that never saw these images finds the "
        f"painted classes again with mean IoU {spade['miou']:.3f} for SPADE ({spade['miou'] / bound:.0%} of what it "
        f"reaches on real renders), {models['pix2pixhd_pp']['miou']:.3f} for pix2pixHD++ and {base['miou']:.3f} for "
        f"pix2pixHD. On uniform label maps, the mean colours of two classes differ by "
        f"{spade['uniform_colour_difference']:.1f} of 255 for SPADE, {base['uniform_colour_difference']:.1f} for pix2pixHD "
        f"and {models['pix2pixhd_pp']['uniform_colour_difference']:.1f} for pix2pixHD++."
    )


def _figures(report: dict) -> str:
    bound = report["judge_bound"]
    rows = [["real renders", bound["miou"], bound["accuracy"], bound["fd"], *[None] * 5]]
    for name, title in MODELS.items():
        m = report["models"][name]
        rows.append(
            [title, m["miou"], m["accuracy"], m["fd"], m["uniform_colour_difference"], m["pixel_diversity"]]
            + [f"{m['parameters'] / 1e6:.2f} M", m["steps"], f"{m['seconds']:.0f} s"]
        )
    heads = [
        "",
        "mIoU",
        "accuracy",
        "FD (Streets judge)",
        "uniform masks: colour difference",
        "styles: pixel difference",
    ]
    body = "".join("<tr>" + "".join(f"<td>{_number(v)}</td>" for v in row) + "</tr>" for row in rows)
    head = "".join(f"<th>{h}</th>" for h in heads + ["generator", "steps", "training"])
    scored = ", ".join(report["scored_classes"])
    return (
        f'<h2>Figures</h2><div class="scroll"><table><tr>{head}</tr>{body}</table></div>'
        f"<p>mIoU and accuracy: the Streets judge on {report['scenes']} validation scenes; the mean is over the classes "
        f"with at least 0.5 % of the pixels ({scored}). FD: Fréchet distance of the judge's features to other real "
        "renders; it is not FID, which is defined by another network. Colour difference: mean over pairs of classes of "
        "the distance of the outputs' mean colours, 0..255. Diversity: mean pixel difference between styles of one map, "
        "0..255 (the two baselines take no style and always paint the same).</p>"
    )


def _side_by_side(scenes: Streets, generators: dict, count: int = 8) -> str:
    count = min(count, len(scenes))
    columns = _columns(scenes, generators, count)
    rows = [list(row) for row in zip(*columns.values())]
    chips = "".join(
        f'<span><i style="background:rgb{CITYSCAPES.classes[i].colour}"></i>{CITYSCAPES.names[i]}</span>'
        for i in class_ids(scenes)
    )
    return (
        "<h2>Same label map, three generators</h2><p>Validation scenes, not chosen: the first "
        f"{count}. The style of the real "
        "render (day, night, ...) can't be read off the label map, so no generator can be expected to guess it.</p>"
        f'<div class="chips">{chips}</div>' + _table(list(columns), rows, _scenes(count))
    )


def _uniform(scenes: Streets, generators: dict, report: dict) -> str:
    ids, (height, width) = class_ids(scenes), scenes[0].label.shape
    painted = {n: to_uint8(uniform_images(g, CITYSCAPES, ids, height, width)) for n, g in generators.items()}
    swatches = CITYSCAPES.colourise(torch.tensor(ids)[:, None, None].expand(-1, height, width))
    rows = [[swatches[k], *(painted[name][k] for name in generators)] for k in range(len(ids))]
    names = [CITYSCAPES.names[i] for i in ids]
    heads = ["label map"] + [
        f"{MODELS[n]} ({report['models'][n]['uniform_colour_difference']:.1f})" for n in generators
    ]
    return (
        "<h2>Figure 3: uniform label maps</h2><p>One class everywhere, the style code z = 0 for all. Instance norm turns "
        "the constant map that follows pix2pixHD's first convolution into zeros, so the class is lost and what is painted "
        "doesn't depend on it. SPADE adds the class back at every layer. In brackets: mean difference between classes of "
        "the images' mean colours (0..255). pix2pixHD++ normalises with statistics of the training data, which a constant "
        "map doesn't cancel.</p>" + _table(heads, rows, names)
    )


def _styles(scenes: Streets, networks: Networks, maps: int = 3, drawn: int = 5) -> str:
    batch, encoder = stack([scenes[i] for i in range(maps)]), networks.encoder
    assert encoder is not None  # the demo trains SPADE with style
    codes = {f"z {s + 1}": _draw(encoder.z_dim, s) for s in range(drawn)}
    return (
        "<h2>One label map, several styles</h2><p>SPADE with style codes z drawn from N(0, 1); each column is one code. The KL weight of so short a run is small "
        "(0.01), so the codes of real pictures spread wider than N(0, 1), and drawn codes stay near the middle.</p>"
        + _painted(networks.generator, batch, codes)
        + "<p>The same maps in the styles of real renders: the encoder's mean code of eight pictures of each style, none of "
        "which shows these scenes.</p>" + _painted(networks.generator, batch, style_codes(encoder, scenes.size))
    )


def _painted(generator: Generator, batch: Sample, codes: dict[str, torch.Tensor]) -> str:
    count = len(batch.label)
    images = [to_uint8(generate(generator, batch, CITYSCAPES, z=z.expand(count, -1))) for z in codes.values()]
    rows = [[colour, *row] for colour, *row in zip(CITYSCAPES.colourise(batch.label), *images)]
    return _table(["label map", *codes], rows, _scenes(count))


def _scenes(count: int) -> list[str]:
    return [f"scene {number}" for number in range(count)]


def _draw(z_dim: int, seed: int) -> torch.Tensor:
    return torch.randn(1, z_dim, generator=torch.Generator().manual_seed(seed))


@torch.no_grad()
def style_codes(encoder: StyleEncoder, size: tuple[int, int], count: int = 8) -> dict[str, torch.Tensor]:
    """For each style of Streets the mean code (1, z_dim) of `count` real renders in it."""
    codes = {}
    for style in STYLES:
        scenes = Streets(count, split="test", height=size[0], width=size[1], style=style)
        codes[style] = encoder(stack([scenes[i] for i in range(count)]).image)[0].mean(0, keepdim=True)
    return codes


def _curves(runs: dict[str, Run]) -> str:
    import matplotlib

    matplotlib.use("Agg")
    from matplotlib.figure import Figure

    figure = Figure(figsize=(11, 3.4), layout="constrained")
    axes = figure.subplots(1, 3)
    for (name, run), axis in zip(runs.items(), axes):
        rows = list(csv.DictReader((run.folder / "metrics.csv").read_text(encoding="utf-8").splitlines()))
        for loss in [key for key in rows[0] if key not in ("step", "seconds", "skipped")]:
            axis.plot([int(r["step"]) for r in rows], [float(r[loss]) for r in rows], label=loss, linewidth=1)
        axis.set(title=MODELS[name], xlabel="step", yscale="symlog")
        axis.legend(fontsize=8)
    axes[0].set_ylabel("weighted loss")
    buffer = io.BytesIO()
    figure.savefig(buffer, dpi=130)
    return (
        "<h2>Losses</h2><p>GAN losses don't fall like those of a classifier: two networks pull at each other. pix2pixHD's "
        "are least squares, the others hinge, so their heights don't compare.</p>"
        f'<img class="plot" alt="Losses of the three models over training" src="{_data_url(buffer.getvalue())}">'
    )


def _settings(report: dict) -> str:
    settings = {name: m["settings"] for name, m in report["models"].items()}
    keys = [k for k in settings["spade"]]
    rows = "".join(
        f"<tr{_bold(k, settings)}><td>{k}</td>"
        + "".join(f"<td>{html.escape(str(s[k]))}</td>" for s in settings.values())
        + "</tr>"
        for k in keys
    )
    head = "".join(f"<th>{MODELS[n]}</th>" for n in settings)
    return (
        "<h2>Settings</h2><p>Where they differ (bold), each model has what its own paper says. All train at the same rate, the "
        "best of four for both baselines and the second best for SPADE in the same search: <code>python "
        "benchmarks/learning_rates.py</code>, whose table is in docs/results. Objective: "
        f"{report['objective']}.</p><details><summary>All settings</summary>"
        f'<div class="scroll"><table><tr><th></th>{head}</tr>{rows}</table></div></details>'
    )


def _bold(key: str, settings: dict) -> str:
    if len({str(s[key]) for s in settings.values()}) == 1:
        return ""
    return ' class="best"'


def _made_by(report: dict) -> str:
    times = "".join(f"<tr><td>{k}</td><td>{v:.0f} s</td></tr>" for k, v in report["seconds"].items())
    versions = ", ".join(f"{k} {v}" for k, v in report["versions"].items())
    return (
        f"<h2>How this was made</h2><pre>{html.escape(report['command'])}</pre><p>Preset {report['preset']}, seed "
        f"{report['seed']}. CPU: {report['cpu']}, {report['threads']} threads, computing in "
        f"{report['models']['spade']['settings']['precision']}. {versions}.</p><table>{times}</table>"
        "<p>The pictures are synthetic: rendered by the package or painted by the trained generators.</p>"
    )


def _table(heads: list[str], rows: list[list], names: list[str]) -> str:
    lines = [f"<tr><th></th>{''.join(f'<th>{html.escape(h)}</th>' for h in heads)}</tr>"]
    for name, row in zip(names, rows):
        cells = "".join(f"<td>{_image(tile, f'{head}, {name}')}</td>" for head, tile in zip(heads, row))
        lines.append(f'<tr><th class="row">{html.escape(name)}</th>{cells}</tr>')
    return f'<div class="scroll"><table class="pictures">{"".join(lines)}</table></div>'


def _image(tile: torch.Tensor, alt: str) -> str:
    picture = Image.fromarray(tile.numpy())
    return f'<img tabindex="0" alt="{html.escape(alt)}" src="{_data_url(png_bytes(picture))}">'


def _data_url(png: bytes) -> str:
    return "data:image/png;base64," + base64.b64encode(png).decode()


def _number(value: object) -> str:
    if value is None:
        return ""
    if not isinstance(value, float):
        return str(value)
    digits = 3 if value < 1 else 1
    return f"{value:.{digits}f}"
