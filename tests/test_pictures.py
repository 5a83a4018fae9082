"""Files written whole or not at all, and images between [-1, 1] and bytes."""

import pytest
import torch

from spade_edu.files import write_whole, write_whole_with
from spade_edu.pictures import from_uint8, to_uint8


def test_a_file_is_written_with_its_folder_and_over_an_older_one(tmp_path):
    path = tmp_path / "a" / "b" / "c.txt"
    for content in ("größer", b"\x00\xff"):
        write_whole(path, content)
        assert path.read_bytes() == (content.encode() if isinstance(content, str) else content)
    assert [p.name for p in path.parent.iterdir()] == ["c.txt"]


def test_a_writer_that_fails_leaves_the_old_file_and_nothing_else(tmp_path):
    path = tmp_path / "c.txt"
    write_whole(path, "old")

    def write(part):
        part.write_text("half of the ne")
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        write_whole_with(path, write)
    assert path.read_text() == "old" and list(tmp_path.iterdir()) == [path]


@pytest.mark.parametrize("size", [(256, 1, 3), (2, 128, 1, 3)])
def test_bytes_come_back_from_an_image_unchanged(size):
    pixels = torch.arange(256, dtype=torch.uint8)[:, None, None].expand(256, 1, 3).reshape(size)
    image = from_uint8(pixels)
    assert image.shape == (*size[:-3], 3, *size[-3:-1]) and image.is_contiguous()
    assert image.min() == -1 and image.max() == 1
    assert torch.equal(to_uint8(image), pixels)


def test_values_outside_the_range_are_cut_off():
    image = torch.tensor([-3.0, 0.0, 3.0])[:, None, None]
    assert to_uint8(image).flatten().tolist() == [0, 128, 255]
