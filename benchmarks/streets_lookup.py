"""Is Streets a colour look-up? The judge against single pixels: `python benchmarks/streets_lookup.py`.

Both are scored on the same validation scenes. A class's IoU that colour alone explains is as high without any
surroundings; the means are over the classes that hold at least 0.5 % of the scored pixels. The colour network is
trained like the judge, on the same scenes; the judge is the one that comes with the package.
"""

import argparse
import json
from pathlib import Path

import torch
from torch import nn

from spade_edu.data.streets import Streets
from spade_edu.evaluation.segmentation import ConfusionMatrix
from spade_edu.evaluation.train_judge import confusion, train_segmenter
from spade_edu.labels import CITYSCAPES
from spade_edu.pretrained.judge import NUM_CLASSES, load_judge

LEAST_SHARE = 0.005  # of the scored pixels, for a class to count in the mean


class ColourOnly(nn.Sequential):
    """Colour -> class with 1x1 convolutions alone: no pixel knows its neighbours, nor where it is."""

    def __init__(self, width: int = 64):
        layers = []
        for fin, fout in ((3, width), (width, width), (width, width)):
            layers += [nn.Conv2d(fin, fout, 1, bias=False), nn.BatchNorm2d(fout), nn.ReLU()]
        super().__init__(*layers, nn.Conv2d(width, NUM_CLASSES, 1))

    def logits(self, image: torch.Tensor) -> torch.Tensor:
        return self(image)


def figures(matrix: ConfusionMatrix) -> dict:
    iou, share = matrix.iou(), matrix.counts.sum(1) / matrix.counts.sum()
    common = share >= LEAST_SHARE
    classes = {name: round(value, 3) for name, value in zip(CITYSCAPES.score_names, iou.tolist()) if value == value}
    return {
        "mIoU of common classes": round(iou[common].mean().item(), 3),
        "common classes": int(common.sum()),
        "mIoU of all classes": round(matrix.miou(), 3),
        "pixel accuracy": round(matrix.pixel_accuracy(), 3),
        "IoU": classes,
        "share": dict(zip(CITYSCAPES.score_names, (round(s, 4) for s in share.tolist()))),
    }


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--judge", type=Path, help="weights of the judge; without it, those of the package")
    parser.add_argument("--scenes", type=int, default=1000)
    parser.add_argument("--steps", type=int, default=1600)
    parser.add_argument("--json", help="file to write the figures to")
    arguments = parser.parse_args()
    real = Streets(200, split="val")
    judge = load_judge(arguments.judge) if arguments.judge else load_judge()
    torch.manual_seed(0)
    colours = ColourOnly()
    train_segmenter(colours, Streets(arguments.scenes, seed=1, augment=True), steps=arguments.steps)
    found = {"judge": figures(confusion(judge, real)), "colour only": figures(confusion(colours, real))}
    show(found)
    if arguments.json:
        Path(arguments.json).write_text(json.dumps(found, indent=1), encoding="utf-8")


def show(found: dict) -> None:
    judge, colours = found["judge"], found["colour only"]
    print(f"{'':24}{'share':>8}{'judge':>8}{'colour':>8}")
    for name, value in judge["IoU"].items():
        print(f"{name:24}{judge['share'][name]:8.2%}{value:8.3f}{colours['IoU'].get(name, float('nan')):8.3f}")
    for name in ("mIoU of common classes", "mIoU of all classes", "pixel accuracy"):
        print(f"{name:24}{'':8}{judge[name]:8.3f}{colours[name]:8.3f}")


if __name__ == "__main__":
    main()
