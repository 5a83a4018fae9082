"""Images per second that the readers give in one process: `python benchmarks/data.py --json -`.

Streets are rendered. The same scenes are written as PNGs of --source size (1024x2048, like Cityscapes) and read at
--height x --width, directly and from a packed copy. With --data also photographs in CamVid's layout.
"""

import argparse
import tarfile
import tempfile
import time
from pathlib import Path

from output import add_json, give

from spade_edu.data import CamVid, Cityscapes, Streets
from spade_edu.data.base import Dataset
from spade_edu.data.pack import pack
from spade_edu.data.streets import write


def images_per_second(dataset: Dataset, count: int) -> float:
    dataset[len(dataset) - 1]  # what is read or compiled once
    begin = time.perf_counter()
    for i in range(count):
        dataset[i % (len(dataset) - 1)]
    return count / (time.perf_counter() - begin)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", type=Path, help="folder in CamVid's layout")
    parser.add_argument("--height", type=int, default=256)
    parser.add_argument("--width", type=int, default=512)
    parser.add_argument("--source", type=int, nargs=2, default=[1024, 2048], help="height and width of the PNGs")
    add_json(parser)
    arguments = parser.parse_args()
    size = dict(height=arguments.height, width=arguments.width)
    rows = {
        "streets 64x128": images_per_second(Streets(21), 20),
        "streets": images_per_second(Streets(6, **size), 5),
    }
    with tempfile.TemporaryDirectory() as folder:
        large, small = Path(folder) / "large", Path(folder) / "small"
        height, width = arguments.source
        write(large, train=4, val=1, height=height, width=width)
        rows["cityscapes"] = images_per_second(Cityscapes(large, "train", **size), 12)
        pack("cityscapes", small.with_suffix(".tar"), str(large), **size)
        with tarfile.open(small.with_suffix(".tar")) as archive:
            archive.extractall(small, filter="data")
        rows["cityscapes, packed"] = images_per_second(Cityscapes(small, "train", **size), 60)
    if arguments.data:
        rows["camvid"] = images_per_second(CamVid(arguments.data, "train", **size), 60)
    give({**size, "source": arguments.source, "images_per_second": rows}, arguments.json)


if __name__ == "__main__":
    main()
