"""Photographs that the camera notes as turned: their label map tells, or nothing does, and then one line decides."""

import numpy as np
import pytest
import trees
from PIL import Image

from spade_edu.cli import main
from spade_edu.data import Folder
from spade_edu.data.files import turn_untold
from spade_edu.data.meaning import look_through
from spade_edu.data.pack import pack
from spade_edu.data.validation import open_for_check

UNTOLD = {"mirrored": (2, 12, 24), "upside down": (3, 12, 24), "flipped": (4, 24, 12), "square": (6, 16, 16),
          "square, mirrored": (7, 16, 16)}  # fmt: skip
TOLD = {"upright": (1, 12, 24), "on its side": (6, 12, 24), "no such turn": (9, 16, 16), "upright square": (1, 16, 16)}


def turned(root, orientation, height, width, line="", suffix="jpg", count=3):
    """Pairs of which one is noted as turned; its upper left quarter is black as stored."""
    for split in "train", "val":
        for i in range(count):
            pixels = np.full((height, width, 3), 255, np.uint8)
            pixels[: height // 2, : width // 2] = 0
            exif = Image.Exif()
            exif[0x0112] = orientation if i == 0 else 1
            options = {"quality": 100} if suffix == "jpg" else {}
            trees.save(root / split / f"images/{i}.{suffix}", pixels, exif=exif, **options)
            trees.save(root / split / f"labels/{i}.png", (pixels[..., 0] // 255).astype(np.uint8))
    (root / "classes.txt").write_text("dark\nlight\n" + line)
    return root


def findings(root):
    return look_through(open_for_check("folder", str(root), "train"))


@pytest.mark.parametrize("suffix", ["jpg", "png", "webp"])
@pytest.mark.parametrize("case", UNTOLD)
def test_turns_that_size_cant_tell_are_counted(tmp_path, case, suffix):
    [finding] = findings(turned(tmp_path, *UNTOLD[case], suffix=suffix))
    assert finding.severity == "warning" and "1 of 3 photographs are noted as turned" in finding.text


@pytest.mark.parametrize("case", TOLD)
def test_other_photographs_get_no_word(tmp_path, case):
    assert findings(turned(tmp_path, *TOLD[case])) == []


@pytest.mark.parametrize("case", UNTOLD)
@pytest.mark.parametrize("said", ["stored", "turned"])
def test_one_line_decides_and_ends_the_warning(tmp_path, case, said):
    root = turned(tmp_path, *UNTOLD[case], line=f"exif = {said}")
    assert findings(root) == []
    photo, label, _ = (dataset := open_for_check("folder", str(root), "train")).read(dataset.pairs[0])
    same = ((np.array(photo)[..., 0] > 127) == label).mean()
    assert same == 1 if said == "stored" else same < 0.6


def test_size_decides_before_the_line_does(tmp_path):
    root = turned(tmp_path, 6, 12, 24, line="exif = turned")
    assert Folder.from_root(root, height=12, width=24)[0].image.shape == (3, 12, 24)
    root = turned(tmp_path / "other", 6, 12, 24, line="exif = stored")
    for path in root.rglob("labels/0.png"):  # labelled as it is shown
        trees.ids(path, 2, height=24, width=12)
    dataset = open_for_check("folder", str(root), "train")
    assert dataset.read(dataset.pairs[0])[0].size == (12, 24)


def test_a_packed_copy_keeps_what_was_decided(tmp_path):
    root = turned(tmp_path / "set", 3, 12, 24, line="exif = stored")
    pack("folder", tmp_path / "set.tar", str(root), height=12, width=24)
    import tarfile

    with tarfile.open(tmp_path / "set.tar") as tar:
        tar.extractall(tmp_path / "again", filter="data")
    packed, before = (Folder.from_root(folder, height=12, width=24)[0].image for folder in (tmp_path / "again", root))
    assert (packed - before).abs().mean() < 0.1


def test_check_and_train_say_it_and_strict_stops(tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    turned(tmp_path / "set", 3, 32, 64)
    main(["data", "check", "folder", "--root", "set"])
    assert capsys.readouterr().out.count("warning: ") == 2
    with pytest.raises(SystemExit):
        main(["train", "--preset", "test", "--data", "folder", "--root", "set", "--out", "run", "--strict"])
    assert "exif = turned" in capsys.readouterr().err


def test_files_that_cant_be_read_are_said_elsewhere(tmp_path):
    (tmp_path / "a.jpg").write_bytes(b"no picture")
    assert not turn_untold(tmp_path / "a.jpg") and not turn_untold(tmp_path / "nowhere.jpg")
