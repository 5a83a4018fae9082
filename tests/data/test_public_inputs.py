"""Inputs made from public reports of trouble and what `data check` says of each; skipped where they aren't there."""

import os
from pathlib import Path

import pytest

from spade_edu.cli import main

INPUTS = Path(os.environ.get("SPADE_EDU_TEST_INPUTS", Path(__file__).parents[3] / "shared" / "inputs"))
DATA = {"ade20k-full": "ade20k", "camvid-colour": "camvid", "cityscapes-only-trainids": "cityscapes",
        "cityscapes-trainids-19": "cityscapes"}  # fmt: skip
FINE = [
    "classes-comment",
    "classes-comment-plain",
    "classes-json-dicts",
    "classes-roboflow-csv",
    "classes-tab",
    "exif-6-48x64",
    "exif-6-64x48",
    "flat-pairs",
    "grey-2-bit",
    "grey-4-bit",
    "ipynb-checkpoints",
    "names-case",
    "names-suffix-double",
    "names-suffix-mask",
    "names-unicode",
    "one-class",
    "one-image",
    "photo-cmyk",
    "pix2pixhd-layout",
]
WARNED = {
    "all-black": "4 of 4 maps hold one value only",
    "bilinear-resized": "borders are crossed by values in between",
    "binary-255-dontcare": "are don't care (255): is that one of them?",
    "classes-300": "297 of 300 classes occur in none of 4 maps",
    "jpeg-then-png": "of the pixels stand alone",
}
REFUSED = {
    "ade20k-full": "This is the full ADE20K",
    "binary-0-255": "Write `0 background` and `255 object` in classes.txt",
    "camvid-colour": "CamVid's first label maps, 32 classes in colours",
    "cityscapes-only-trainids": "holds only *_labelTrainIds.png",
    "cityscapes-trainids-19": "these are trainIds under the name of labelIds",
    "classes-comma": "a comma in 'wall, brick': write the name without it",
    "colors-spelling": "an entry 'ignore'; did you mean dont_care?",
    "cvat-labelmap": "make ids of colours with `spade-edu data convert`",
    "grey-as-rgb": "found three equal channels. `spade-edu data convert --channel red`",
    "id-in-red": "found all of it in red. `spade-edu data convert --channel red`",
    "instances-some": "img_2.jpg has no instance map",
    "labels-jpg": "4 files of the kind .jpg, which are passed over: JPEG blurs ids",
    "labels-npy": "4 files of the kind .npy, which are passed over: save or export them as PNG",
    "labels-webp-gif": "4 files of the kind .gif, which are passed over: save or export them as PNG",
    "palette-adaptive": "its palette gives it the colour of",
    "palette-web": "`spade-edu data convert` goes by colour",
    "photo-16-bit-grey": "Save it as 8-bit RGB",
    "photo-all-heic": "3 files of the kind .heic, which are passed over: save them as JPEG",
    "photo-heic": "2 files of the kind .heic, which are passed over: save them as JPEG",
    "photo-heic-as-jpg": "found HEIC or AVIF under this name",
    "photo-truncated": "img_0.jpg: expected a photograph, found a file that cannot be read",
    "same-stem": "share a name",
    "size-mismatch": "img_1.png is 96x128 but",
    "tif-float": "found numbers with fractions (mode F)",
    "tif-minus-1": "-1 often marks unknown pixels: write 255",
}
pytestmark = pytest.mark.skipif(not INPUTS.is_dir(), reason="the folder of shared inputs isn't here")


def check(name, capsys):
    if not (INPUTS / name).is_dir():
        pytest.skip(f"{name} isn't among the shared inputs any more")
    code = 0
    try:
        main(["data", "check", DATA.get(name, "folder"), "--root", str(INPUTS / name)])
    except SystemExit as end:
        code = end.code
    return code, capsys.readouterr().out


@pytest.mark.parametrize("name", FINE)
def test_fine(name, capsys):
    code, out = check(name, capsys)
    assert code == 0 and "0 bad" in out and "warning" not in out


@pytest.mark.parametrize("name", WARNED)
def test_warned(name, capsys):
    code, out = check(name, capsys)
    assert code == 0 and "warning: " in out and WARNED[name] in out


@pytest.mark.parametrize("name", REFUSED)
def test_refused_by_name(name, capsys):
    code, out = check(name, capsys)
    assert code == 2 and REFUSED[name] in out
