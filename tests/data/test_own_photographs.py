"""docs/own_photographs.md, run: ten pairs from a labelling tool's export to painting, in the smallest preset."""

import re
import shlex
import shutil
import urllib.request
from pathlib import Path
from threading import Thread

import numpy as np
import pytest
import trees
from PIL import Image

from spade_edu.cli import main
from spade_edu.cli.paint import prepare, served
from spade_edu.data.files import read_ids

PAGE = Path(__file__).parents[2] / "docs/own_photographs.md"
BLOCKS = re.findall(r"^```sh\n(.*?)^```", PAGE.read_text(encoding="utf-8"), re.DOTALL | re.MULTILINE)
COMMANDS = [line for block in BLOCKS for line in block.splitlines()]
LABELS = {"background": (0, 0, 0), "meadow": (50, 183, 60), "sky": (51, 221, 255)}


def export(folder, count=10):
    """What CVAT writes as Segmentation mask 1.1: masks in colours; returns the ids that were drawn."""
    rows = [f"{name}:{','.join(map(str, colour))}::" for name, colour in LABELS.items()]
    folder.mkdir()
    (folder / "labelmap.txt").write_text("\n".join(["# label:color_rgb:parts:actions", *rows]) + "\n")
    drawn = {}
    for i in range(count):
        ids = np.ones((48, 96), np.uint8)
        ids[: 12 + 2 * i], ids[-6:, 2 * i : 30 + 2 * i] = 2, 0
        colours = np.array(list(LABELS.values()), np.uint8)[ids]
        noise = trees.noise(i, 48, 96, 30, 3)
        trees.save(folder / f"JPEGImages/IMG_{i}.jpg", (colours * 0.8 + noise).astype(np.uint8))
        trees.save(folder / f"SegmentationClass/IMG_{i}.png", colours)
        drawn[f"IMG_{i}"] = ids
    return drawn


def put_in_place(export_folder, mine):
    """The page's second step."""
    for kind, old in ("images", "JPEGImages"), ("masks", "SegmentationClass"):
        for i, path in enumerate(sorted((export_folder / old).iterdir())):
            place = mine / ("val" if i >= 8 else "train") / kind
            place.mkdir(parents=True, exist_ok=True)
            shutil.copy(path, place)
    shutil.copy(export_folder / "labelmap.txt", mine)


def smaller(line):
    """A command of the page in the smallest preset."""
    words = shlex.split(re.sub(r"epochs(_decay)?=\d+", r"epochs\1=1", line.replace("--preset cpu", "--preset test")))
    assert words[0] == "spade-edu"
    return words[1:]


def test_from_export_to_painting(tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    drawn = export(Path("export"))
    put_in_place(Path("export"), Path("mine"))
    *before, last = map(smaller, COMMANDS)
    for words in before:
        main(words)
    out = capsys.readouterr().out
    assert "8 good pairs found, 0 bad" in out and "2 good pairs found, 0 bad" in out and "Done: 8 steps" in out
    assert not re.search("^(warning|error|bad)", out, re.MULTILINE)
    for path in Path("mine").glob("*/labels/*.png"):
        assert np.array_equal(read_ids(path), drawn[path.stem])
    with Image.open("samples.png") as samples, Image.open("preview.png") as preview:
        assert samples.size[0] > 64 and preview.size[0] > 96
    assert last == ["paint", "--run", "runs/mine"]
    paint(Path(last[2]))


def paint(run):
    """The page that `spade-edu paint` serves."""
    with served(prepare(run), 0) as server:
        Thread(target=server.serve_forever, daemon=True).start()
        with urllib.request.urlopen(server.address, timeout=30) as page:
            assert "<title>spade_edu: paint a scene</title>" in page.read().decode()
        server.shutdown()


def roboflow(root):
    """Flat folders train and valid, NAME_mask.png, _classes.csv in each."""
    for split, ending in ("train", ""), ("valid", "b"):
        for i in range(3):
            name = f"IMG_{i}{ending}_jpg.rf.0a1b"
            trees.photo(root / split / f"{name}.jpg", i)
            trees.ids(root / split / f"{name}_mask.png", 3, i)
        (root / split / "_classes.csv").write_text("Pixel Value, Class\n0, background\n1, meadow\n2, sky\n")


def labelme(root):
    """labelme2voc.py's folders, in each split: palette PNGs, arrays and pictures of both beside them."""
    for split in "train", "val":
        for i in range(3):
            trees.photo(root / split / f"JPEGImages/{i}.jpg", i)
            trees.ids(root / split / f"SegmentationClassPNG/{i}.png", 3, i, "P")
            trees.photo(root / split / f"SegmentationClassVisualization/{i}.jpg", i)
            (root / split / "SegmentationClass").mkdir(exist_ok=True)
            np.save(root / split / f"SegmentationClass/{i}.npy", trees.noise(i, top=3))
    (root / "class_names.txt").write_text("_background_\nmeadow\nsky\n")


@pytest.mark.parametrize("make", [roboflow, labelme])
def test_the_tables_other_exports_are_read_as_they_are(tmp_path, capsys, make):
    make(tmp_path)
    main(["data", "check", "folder", "--root", str(tmp_path)])
    assert capsys.readouterr().out.count("3 good pairs found, 0 bad") == 2
