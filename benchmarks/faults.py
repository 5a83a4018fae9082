"""What the planted faults of stage 11 do to a short training: figures for its text.

    python benchmarks/faults.py     (about five minutes on one core)

The file with each fault and the one without it are trained alike: Streets at 32x64, 150 steps of 2 scenes, the same
seed. Printed is a line of JSON a file: the judge's mIoU over 20 validation scenes, with the file's own label maps and
with the course's, the last losses, seconds a step, and how far two uniform maps (road, sky) are apart in mean colour.
The files are trained with SPADE's generator, "a" with pix2pixHD's: its fault sits there. Before that, a line a file:
how far the features of the untrained generator's last block spread at gain 0.02 and 1, and seconds (of the processor,
the median of 15) of a step of D. `--steps 0` prints these only.
"""

import argparse
import json
import statistics
import time

import torch

from spade_edu.checks.faults import FAULTS, Code, faulty_text, healthy
from spade_edu.data.streets import Streets
from spade_edu.evaluation.scoring import AtOneSize
from spade_edu.labels import CITYSCAPES
from spade_edu.pretrained.judge import SecondOpinion, load_judge, load_second_opinion
from spade_edu.sampling import spread

CLASSES, SIZE = CITYSCAPES.num_classes, (32, 64)


def networks(code: Code, painter: str, gain: float) -> tuple:
    torch.manual_seed(0)
    if painter == "pix2pixHD":
        generator = code.Pix2PixHDGenerator(CLASSES + 1, ngf=12, num_downsampling=2, num_blocks=3)
    else:
        generator = code.SPADEGenerator(CLASSES + 1, (1, 2), 8, None, 16, code.SpectralConv2d)
    discriminator = code.MultiScaleDiscriminator(CLASSES + 1, ndf=8)
    return code.init_weights(generator, gain), code.init_weights(discriminator, gain)


def batches(code: Code, scenes: Streets, steps: int) -> list[dict]:
    samples = [[scenes[(2 * step + i) % len(scenes)] for i in range(2)] for step in range(steps)]
    labels = [torch.stack([s.label for s in sample]) for sample in samples]
    images = [torch.stack([s.image for s in sample]) for sample in samples]
    return [{"segmap": code.one_hot(label, CLASSES), "image": image} for label, image in zip(labels, images)]


@torch.no_grad()
def score(one_hot, generator, judge) -> float:
    """mIoU of 20 scenes, with the label maps that `one_hot` makes."""
    sample = spread(Streets(20, split="val", height=SIZE[0], width=SIZE[1]), 20)
    images = generator(one_hot(sample.label, CLASSES))
    target = CITYSCAPES.to_score_ids(sample.label)
    counts = healthy().confusion_matrix(judge(images).argmax(1), target, 19, 255)
    return healthy().mean_iou(counts)


@torch.no_grad()
def uniform_distance(code: Code, generator) -> float:
    """How far the pictures of two uniform maps, all road and all sky, are apart in their mean colour."""
    ids = torch.tensor([CITYSCAPES.id(name) for name in ("road", "sky")])
    colours = [generator(code.one_hot(i.expand(1, *SIZE), CLASSES)).mean((0, 2, 3)) for i in ids]
    return (colours[0] - colours[1]).norm().item()


def trial(name: str, code: Code, painter: str, gain: float, steps: int, scenes: Streets) -> dict:
    generator, discriminator = networks(code, painter, gain)
    optimizers = code.make_optimizers(generator, discriminator, lr=1.6e-3)
    opinion, given = load_second_opinion(), batches(code, scenes, steps)
    begun = time.process_time()
    losses = list(code.train(given, generator, discriminator, optimizers, None, opinion, SecondOpinion.weights))
    seconds = (time.process_time() - begun) / steps
    generator.eval()
    judge = AtOneSize(load_judge())
    tail = losses[-20:]
    return {
        "file": name, "generator": painter, "gain": gain, "seconds_a_step": round(seconds, 3),
        "miou": round(score(code.one_hot, generator, judge), 4),
        "miou_of_the_courses_maps": round(score(healthy().one_hot, generator, judge), 4),
        "road_to_sky": round(uniform_distance(code, generator), 4),
        "losses": {key: round(sum(loss[key] for loss in tail) / len(tail), 4) for key in tail[0]},
        "sum_of_all_losses": sum(sum(loss.values()) for loss in losses),
    }  # fmt: skip


@torch.no_grad()
def spread_at_start(code: Code, gain: float) -> float:
    generator, _ = networks(code, "SPADE", gain)
    found = []
    generator.blocks[-1].register_forward_hook(lambda module, inputs, output: found.append(output.std().item()))
    generator(code.one_hot(torch.randint(CLASSES, (2, *SIZE)), CLASSES))
    return found[0]


def discriminator_seconds(code: Code, times: int = 15) -> float:
    generator, discriminator = networks(code, "SPADE", 1.0)
    _, optimizer = code.make_optimizers(generator, discriminator)
    batch = {"segmap": code.one_hot(torch.zeros(2, *SIZE), CLASSES), "image": torch.rand(2, 3, *SIZE)}
    found = []
    for _ in range(times):
        begun = time.process_time()
        code.discriminator_step(batch, generator, discriminator, optimizer)
        found.append(time.process_time() - begun)
    return statistics.median(found)


def start(name: str, code: Code) -> dict:
    return {
        "file": name,
        "spread_at_gain": {gain: float(f"{spread_at_start(code, gain):.2g}") for gain in (0.02, 1.0)},
        "seconds_of_discriminator_step": round(discriminator_seconds(code), 4),
    }


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--steps", type=int, default=150)
    steps = parser.parse_args().steps
    scenes = Streets(2 * steps, height=SIZE[0], width=SIZE[1])
    files = {"healthy": healthy()} | {letter: Code(letter, faulty_text(letter)) for letter in FAULTS}
    for name, code in files.items():
        print(json.dumps(start(name, code)), flush=True)
    trials = [("healthy", "pix2pixHD", 1.0), ("a", "pix2pixHD", 1.0), ("healthy", "SPADE", 1.0)]
    trials += [(name, "SPADE", 1.0) for name in "fedcb"] + [("healthy", "SPADE", 0.02), ("c", "SPADE", 0.02)]
    for name, painter, gain in trials if steps else []:
        print(json.dumps(trial(name, files[name], painter, gain, steps, scenes)), flush=True)


if __name__ == "__main__":
    main()
