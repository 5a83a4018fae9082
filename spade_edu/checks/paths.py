"""What each part of my_spade.py is for, and the two paths through them: all of them, or one day."""

from collections.abc import Iterable
from typing import NamedTuple

from . import known


class Use(NamedTuple):
    """importance: 1 to 3. gives: what works in notebook 11 because of the part."""

    importance: int
    gives: str


USES = {
    "one_hot": Use(3, "label maps become what both of your networks see"),
    "instance_edges": Use(1, "your generator sees where one car ends and the next begins"),
    "BatchNorm2d": Use(2, "your SPADE has its norm, and your generator paints one map alike in every company"),
    "InstanceNorm2d": Use(2, "your pix2pixHD and your discriminators have their norm"),
    "ResnetBlock": Use(1, "your pix2pixHD has its middle"),
    "Pix2PixHDGenerator": Use(2, "your SPADE gets an opponent, and Figure 3 a loser"),
    "SPADE": Use(3, "the layer that everything is about: your generator keeps what the label map says"),
    "SPADEResnetBlock": Use(3, "your generator has something to be made of"),
    "SPADEGenerator": Use(3, "there is a network to train, to score and to paint with"),
    "init_weights": Use(1, "your networks begin where the published ones begin"),
    "SpectralConv2d": Use(2, "your discriminator can't run away from your generator"),
    "PatchDiscriminator": Use(2, "somebody judges your pictures, patch by patch"),
    "MultiScaleDiscriminator": Use(2, "your pictures are judged near and from afar"),
    "hinge_generator": Use(3, "your generator knows what to aim at"),
    "hinge_discriminator": Use(3, "your discriminator knows what to aim at"),
    "feature_matching": Use(2, "training is calm enough to show pictures after minutes"),
    "perceptual": Use(2, "with features of your own choice, pictures get sharper"),
    "make_optimizers": Use(2, "both networks learn, each at its own rate"),
    "generate": Use(1, "your steps paint with and without a style"),
    "judge": Use(2, "your discriminator judges fairly"),
    "generator_step": Use(3, "your generator learns"),
    "discriminator_step": Use(3, "your discriminator keeps up with it"),
    "train": Use(2, "the training runs, and tells how it goes"),
    "confusion_matrix": Use(1, "you can count, class by class, what a segmenter recognises in your pictures"),
    "mean_iou": Use(1, "you can score your pictures by yourself"),
    "frechet_distance": Use(1, "you can say how far your pictures are from real ones"),
    "ConcatResnetBlock": Use(1, "a challenge: SPADE's generator without SPADE"),
    "ConcatGenerator": Use(1, "a challenge: your own row of Table 3"),
    "StyleEncoder": Use(2, "a challenge: paint in the style of a picture"),
    "reparameterise": Use(2, "your generator can be trained with a style"),
    "kl_divergence": Use(2, "styles can be drawn, not only copied"),
}
DAY = (
    "one_hot", "SPADE", "SPADEResnetBlock", "SPADEGenerator", "hinge_generator", "hinge_discriminator",
    "generator_step", "discriminator_step",
)  # fmt: skip


def minutes(names: Iterable[str]) -> int:
    """How long these exercises take, all together."""
    exercises = known()
    return sum(exercises[name].minutes for name in names)
