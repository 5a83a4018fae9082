"""Generated images whose scores are moved by how they were saved get a note."""

import re
import warnings

import pytest
import trees

from spade_edu.cli import main
from spade_edu.evaluation.images import ImageFolder

LEFT = r"{} images of \S+ belong to no label map that is scored"
JPEG = "{} of 4 images are JPEG, which lowers scores"
CASES = {
    "all JPEG": (["a.jpg", "b.jpeg", "c.JPG", "d.jpg"], [JPEG.format(4)]),
    "some JPEG": (["a.jpg", "b.png", "c.jpg", "d.webp"], [JPEG.format(2)]),
    "strangers": (["a.png", "b.png", "c.png", "d.png", "x.png", "y.jpg"], [LEFT.format(2)]),
    "both": (["a.jpg", "b.png", "c.png", "d.png", "deep/x.png"], [JPEG.format(1), LEFT.format(1)]),
    "sound": (["a.png", "b.png", "c.bmp", "deep/d_synthesized_image.png"], []),
}


def notes(folder):
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always", UserWarning)
        ImageFolder(folder, ["a", "b", "c", "d"])
    return [str(warning.message) for warning in caught if warning.category is UserWarning]


@pytest.mark.parametrize("case", CASES)
def test_jpeg_and_strangers_are_counted(tmp_path, case):
    files, expected = CASES[case]
    for i, name in enumerate(files):
        trees.photo(tmp_path / name, i)
    found = notes(tmp_path)
    assert len(found) == len(expected) and all(re.match(e, f) for e, f in zip(expected, found)), found


def test_a_jpeg_under_another_name_counts(tmp_path):
    for i, name in enumerate("abcd"):
        trees.photo(tmp_path / f"{name}.png", i, format="JPEG" if name == "c" else "PNG")
    assert [note.startswith("1 of 4 images are JPEG") for note in notes(tmp_path)] == [True]


def test_evaluate_prints_the_notes(tmp_path, capsys):
    for i in range(3):
        trees.photo(tmp_path / f"val_{i:06d}.jpg", i, height=32, width=64)
    main(["evaluate", "--images", str(tmp_path), "--data", "streets", "--count", "2", "--no-segmentation"])
    out = capsys.readouterr().out
    assert "Note: 2 of 2 images are JPEG" in out and "Note: 1 images of" in out
