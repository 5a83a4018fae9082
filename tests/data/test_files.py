import ast
import os
import re
from pathlib import Path

import numpy as np
import pytest
import trees
from PIL import EpsImagePlugin, Image
from PIL.PngImagePlugin import PngImageFile

import spade_edu
from spade_edu.data import DataError, files
from spade_edu.data.files import read_ids, read_photo, require_same_size
from spade_edu.errors import UserError
from spade_edu.evaluation.images import ImageFolder
from spade_edu.widgets.looks import read_recipe
from spade_edu.widgets.style_board import read_upload


@pytest.mark.parametrize("mode, top", [(None, 256), ("P", 256), (None, 60000)])
def test_ids_come_back_as_they_were_written(tmp_path, mode, top):
    path = trees.ids(tmp_path / "a.png", top, mode=mode)
    assert np.array_equal(read_ids(path), trees.noise(0, top=top))
    assert read_ids(path).dtype == np.int32


def test_bilevel_masks_are_ids_0_and_1(tmp_path):
    mask = trees.noise(0, top=2).astype(bool)
    Image.fromarray(mask).save(tmp_path / "a.png")
    assert np.array_equal(read_ids(tmp_path / "a.png"), mask.astype(np.int32))


@pytest.mark.parametrize("mode", ["L", "CMYK", "RGB"])
def test_photographs_become_rgb(tmp_path, mode):
    path = trees.photo(tmp_path / "a.jpg", mode=mode, quality=95)
    photo = read_photo(path)
    assert photo.mode == "RGB" and photo.size == (24, 12)
    near = trees.noise(0, channels=3).mean()
    assert abs(np.array(photo).mean() - near) < 15  # right way up: an inverted CMYK would be far off


def test_photographs_with_transparency_and_palette(tmp_path):
    for mode in "RGBA", "P", "LA":
        assert read_photo(trees.photo(tmp_path / f"{mode}.png", mode=mode)).mode == "RGB"


def rotated_photo(path):
    """A photograph stored lying on its side with the EXIF note "rotate by 90 degrees"."""
    exif = Image.Exif()
    exif[0x0112] = 6
    return trees.photo(path, height=12, width=24, exif=exif)


def test_exif_rotation_is_applied(tmp_path):
    path = rotated_photo(tmp_path / "a.png")
    stored = trees.noise(0, channels=3).astype(np.uint8)
    assert np.array_equal(np.array(read_photo(path)), np.rot90(stored, k=-1))
    assert read_photo(path, size=(24, 12)).size == (12, 24)


def test_exif_rotation_is_left_where_the_label_map_lies_on_its_side_too(tmp_path):
    assert read_photo(rotated_photo(tmp_path / "a.png"), size=(12, 24)).size == (24, 12)


def test_colour_pictures_are_no_label_maps(tmp_path):
    path = trees.photo(tmp_path / "a_color.png")
    with pytest.raises(DataError, match=r"a_color\.png.*one id per pixel.*mode RGB.*labelIds"):
        read_ids(path)


def test_jpeg_label_maps_are_refused(tmp_path):
    path = trees.photo(tmp_path / "a.jpg", mode="L")
    with pytest.raises(DataError, match=r"a\.jpg.*JPEG.*PNG"):
        read_ids(path)


@pytest.mark.parametrize("keep", [0, 20, 100, 400])
@pytest.mark.parametrize("reader", [read_ids, read_photo])
def test_truncated_files_are_named(tmp_path, reader, keep):
    path = trees.ids(tmp_path / "a.png", 256, height=40, width=40)
    path.write_bytes(path.read_bytes()[:keep])
    with pytest.raises(DataError, match=r"a\.png: expected .* found .*again"):
        reader(path)


@pytest.mark.parametrize("reader", [read_ids, read_photo])
def test_damaged_and_foreign_files_are_named(tmp_path, reader):
    path = trees.ids(tmp_path / "a.png", 256, height=40, width=40)
    data = bytearray(path.read_bytes())
    data[60:90] = bytes(30)
    path.write_bytes(data)
    (tmp_path / "b.png").write_text("<html>not found</html>")
    for name in "a.png", "b.png":
        with pytest.raises(DataError, match=name):
            reader(tmp_path / name)


def test_missing_file_and_folder_are_named(tmp_path):
    with pytest.raises(DataError, match=r"gone\.png is missing"):
        read_ids(tmp_path / "gone.png")
    with pytest.raises(DataError):
        read_photo(tmp_path)


def test_16_bit_photographs_are_refused(tmp_path):
    with pytest.raises(DataError, match="8 bits"):
        read_photo(trees.ids(tmp_path / "a.png", 60000))


def test_different_sizes_name_both_files(tmp_path):
    photo, ids = read_photo(trees.photo(tmp_path / "a.png")), np.zeros((12, 23), np.int32)
    with pytest.raises(DataError, match=r"b\.png is 12x23 but .*a\.png is 12x24"):
        require_same_size(photo, ids, tmp_path / "a.png", tmp_path / "b.png")


# Pictures from strangers ---------------------------------------------------------------------------------------------

PACKAGE = Path(spade_edu.__file__).parent
POSTSCRIPT = b"%!PS-Adobe-3.0 EPSF-3.0\n%%BoundingBox: 0 0 24 12\n%%EndComments\nshowpage\n%%EOF\n"


def test_pictures_are_opened_in_one_place_only():
    """Written as Image.open(...), or as open(...) of one of Pillow's modules."""
    places = []
    for path in PACKAGE.rglob("*.py"):
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            if isinstance(node, ast.Call) and re.fullmatch(r"(PIL\.)?Image\.open", ast.unparse(node.func)):
                places.append((path.relative_to(PACKAGE).as_posix(), [k.arg for k in node.keywords]))
            assert not (isinstance(node, ast.ImportFrom) and node.module == "PIL.Image"), path
    assert places == [("data/files.py", ["formats"])]


OPENERS = {
    "photograph": read_photo,
    "ids": read_ids,
    "generated": lambda path: ImageFolder(path.parent, ["a"])[0],
    "upload": lambda path: read_upload([path.read_bytes()], (12, 24)),
    "recipe": read_recipe,
}


@pytest.fixture
def ghostscript(tmp_path, monkeypatch):
    """A stand-in for Ghostscript on PATH; at the end it must not have been started."""
    program, started = tmp_path / "bin" / "gs", tmp_path / "started"
    program.parent.mkdir()
    program.write_text(f"#!/bin/sh\necho \"$@\" >> '{started}'\nexit 1\n")
    program.chmod(0o755)
    monkeypatch.setenv("PATH", f"{program.parent}{os.pathsep}{os.environ['PATH']}")
    for name, value in (("gs_binary", None), ("gs_windows_binary", None)):
        monkeypatch.setattr(EpsImagePlugin, name, value)
    (tmp_path / "bare.eps").write_bytes(POSTSCRIPT)
    with pytest.raises(Exception, match=r".*"), Image.open(tmp_path / "bare.eps") as picture:
        picture.load()
    assert started.exists(), "Pillow itself would start it"
    started.unlink()
    yield
    assert not started.exists(), "a program was started on the file"


@pytest.mark.skipif(os.name == "nt", reason="a shell script")
@pytest.mark.parametrize("name", ["a.jpg", "a.png"])
@pytest.mark.parametrize("opener", OPENERS)
def test_postscript_under_another_name_starts_no_program(tmp_path, ghostscript, opener, name):
    path = tmp_path / "files" / name
    path.parent.mkdir()
    path.write_bytes(POSTSCRIPT)
    with pytest.raises(UserError) as found:
        OPENERS[opener](path)
    assert len(str(found.value).splitlines()) == 1


@pytest.mark.parametrize("kind", ["GIF", "TGA", "ICO", "PCX", "PDF"])
def test_other_formats_are_refused_whatever_their_name(tmp_path, kind):
    Image.new("RGB", (24, 12)).save(tmp_path / "a.jpg", format=kind)
    with pytest.raises(DataError, match="a file that cannot be read"):
        read_photo(tmp_path / "a.jpg")


@pytest.mark.parametrize("opener", ["photograph", "ids", "upload", "generated"])
def test_too_many_pixels_are_refused_from_the_head_alone(tmp_path, monkeypatch, opener):
    monkeypatch.setattr(files, "MOST_PIXELS", 24 * 12 - 1)
    monkeypatch.setattr(PngImageFile, "load", lambda *_: pytest.fail("read"))
    Image.new("L", (24, 12)).save(tmp_path / "a.png")
    with pytest.raises(DataError, match="24x12 pixels are more than 287"):
        OPENERS[opener](tmp_path / "a.png")
