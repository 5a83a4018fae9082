"""What a stroke of the painter costs, by size and width: `python benchmarks/stroke.py --json -`.

Seconds of one image from the generator in the form that the painter uses (lean blocks, float32), and megabytes of
generator and encoder in half precision. `seconds` is processor time of one thread, which other programs on the machine
disturb little; two cores take a little over half of it. To see an AVX2 machine on a newer one, set
ATEN_CPU_CAPABILITY=avx2 and ONEDNN_MAX_CPU_ISA=AVX2 before the command.
"""

import argparse
import os
import time
from statistics import median

import spade_edu  # noqa: F401  # before torch: it says how torch's threads wait

# isort: split
import torch
from output import add_json, give

from spade_edu.data.base import stack
from spade_edu.data.streets import Streets
from spade_edu.labels import CITYSCAPES
from spade_edu.models import Networks, build, count_parameters
from spade_edu.presets import preset
from spade_edu.sampling import generate


def seconds_of_a_stroke(networks: Networks, size: tuple[int, int], repeats: int) -> float:
    """Median over new label maps, after one that warms up."""
    scenes, times = Streets(repeats + 1, split="val", height=size[0], width=size[1]), []
    for i in range(repeats + 1):
        sample = stack([scenes[i]])
        started = time.process_time()
        generate(networks.generator, sample, CITYSCAPES)
        times.append(time.process_time() - started)
    return median(times[1:])


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--heights", type=int, nargs="+", default=[64, 96, 128])
    parser.add_argument("--widths-of-network", type=int, nargs="+", default=[12, 16, 20])
    parser.add_argument("--repeats", type=int, default=7)
    add_json(parser)
    asked = parser.parse_args()
    torch.set_num_threads(1)
    rows = []
    for height in asked.heights:
        for ngf in asked.widths_of_network:
            size = (height, 2 * height)
            networks = build(preset("cpu", "spade", style=True, height=height, width=2 * height, ngf=ngf), CITYSCAPES)
            assert networks.encoder is not None
            numbers = count_parameters(networks.generator) + count_parameters(networks.encoder)
            seconds = seconds_of_a_stroke(networks, size, asked.repeats)
            rows.append({"size": size, "ngf": ngf, "seconds": round(seconds, 3), "megabytes": round(numbers * 2e-6, 2)})
    give({"cpu_capability": os.environ.get("ATEN_CPU_CAPABILITY", "as found"), "rows": rows}, asked.json)


if __name__ == "__main__":
    main()
