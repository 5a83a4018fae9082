import importlib
import math

import numpy as np
import pytest
import torch
from PIL import Image
from torch import nn
from torch.nn import functional as F

from spade_edu.data.streets import Streets
from spade_edu.errors import UserError
from spade_edu.evaluation.diversity import diversity
from spade_edu.evaluation.images import ImageFolder, Originals, from_bytes, to_bytes
from spade_edu.evaluation.protocol import NAMES, protocol, resize_image, resize_label
from spade_edu.evaluation.scoring import (
    AtOneSize,
    Features,
    Judges,
    bootstrap,
    generated_statistics,
    judges_of,
    real_statistics,
    score,
)
from spade_edu.labels import CITYSCAPES

SIZE = (16, 32)


class NearestColour(nn.Module):
    """A segmenter of painted label maps: each pixel goes to the scored class of the nearest colour."""

    def __init__(self):
        super().__init__()
        scored = sorted((c for c in CITYSCAPES.classes if c.score_id < 255), key=lambda c: c.score_id)
        self.register_buffer("colours", torch.tensor([c.colour for c in scored]) / 127.5 - 1)

    def forward(self, image):
        return -torch.cdist(image.permute(0, 2, 3, 1), self.colours).permute(0, 3, 1, 2)


def mean_colours(image):
    return F.adaptive_avg_pool2d(image, 2).flatten(1)


JUDGES = Judges(NearestColour(), Features(mean_colours, "mean colours", "FD (mean colours)", "KD (mean colours)"))


class Painted:
    """A data set of random painted label maps in twice the generated size."""

    labels = CITYSCAPES

    def __init__(self, n=24, seed=0):
        g = torch.Generator().manual_seed(seed)
        coarse = torch.randint(7, 34, (n, 4, 8), generator=g)
        self.label = coarse.repeat_interleave(2 * SIZE[0] // 4, 1).repeat_interleave(2 * SIZE[1] // 8, 2)
        self.image = CITYSCAPES.colourise(self.label).movedim(-1, 1)

    def set_epoch(self, epoch):
        pass

    def __len__(self):
        return len(self.label)

    def __getitem__(self, i):
        from spade_edu.data import Sample

        return Sample(self.label[i], None, from_bytes(self.image[i]), f"p{i:02d}")


@pytest.fixture(scope="module")
def originals():
    return Originals(Painted())


@pytest.fixture(scope="module")
def perfect(originals):
    """What a perfect model would generate: the photographs themselves at the generated size."""
    return [originals[i].image[:, ::2, ::2] for i in range(len(originals))]


def scored(images, originals, name="paper"):
    plan = protocol(name, "streets")
    real, fake = real_statistics(originals, plan, JUDGES, SIZE), generated_statistics(images, JUDGES)
    return score(images, originals, plan, JUDGES, real, fake)


def test_orders_perfect_blurred_and_noise_on_every_metric(originals, perfect):
    noise = [torch.randint(0, 256, (3, *SIZE), dtype=torch.uint8) for _ in perfect]
    half = [(a.int() + b.int()).div(2).byte() for a, b in zip(perfect, noise)]
    results = [scored(images, originals, "oasis") for images in (perfect, half, noise)]
    assert results[0].miou == pytest.approx(1) and results[0].accuracy == pytest.approx(1)
    for better, worse in zip(results, results[1:]):
        assert better.miou > worse.miou and better.accuracy > worse.accuracy
        assert better.distance < worse.distance and better.kernel < worse.kernel
    void = sum(int((originals[i].label == 255).sum()) for i in range(24)) / (24 * 32 * 64)
    assert 0.1 < void < 0.9 and results[0].accuracy_with_void == pytest.approx(1 - void)
    assert results[0].distance_name == "FD (mean colours)" and results[0].n == results[0].n_real == 24
    low, high = results[1].miou_interval
    assert low < results[1].miou < high


@pytest.mark.parametrize("name", NAMES)
def test_sizes_that_each_protocol_feeds_and_compares(name):
    plan = protocol(name, "cityscapes")
    image, label = torch.rand(1, 3, 16, 32), torch.zeros(1, 64, 128, dtype=torch.long)
    seen = plan.feed(image, (64, 128), (16, 32))
    expected = {"paper": (64, 128)}.get(name, (16, 32))
    assert seen.shape[2:] == expected
    prediction, target = plan.meet(torch.rand(1, 19, *expected), label)
    full = name in ("paper", "gan-compression")
    assert prediction.shape == target.shape == (1, *((64, 128) if full else expected))
    real = plan.real(torch.rand(1, 3, 64, 128), (16, 32))
    assert real.shape[2:] == {"paper": (64, 128)}.get(name, (16, 32))  # CLADE's too: 512x256 (its README)
    assert plan.real_split == ("train" if name == "clade" else "val")


def test_protocols_follow_each_data_sets_own_code():
    plans = {data: protocol("paper", data) for data in ("cityscapes", "ade20k", "coco-stuff")}
    assert [p.segmenter for p in plans.values()] == ["drn_d_105", "upernet101-baseline", "deeplabv2_resnet101"]
    assert [p.absent for p in plans.values()] == ["skip", "zero", "gt"]
    assert [p.images for p in plans.values()] == [500, 2000, 5000]
    # UPerNet's own code rounds both sides up to a multiple of 32
    seen = plans["ade20k"].feed(torch.zeros(1, 3, 20, 20), (50, 70), (20, 20))
    assert seen.shape[2:] == (64, 96)
    with pytest.raises(UserError, match="no protocol 'mine'"):
        protocol("mine", "streets")
    with pytest.raises(UserError, match="no protocol for 'kitti'"):
        protocol("paper", "kitti")


@pytest.mark.parametrize("data", ["camvid", "folder", "flickr-landscapes"])
def test_data_that_nobody_can_segment_has_distances_only(data, monkeypatch):
    plan = protocol("paper", data)
    assert not plan.segmenter and (plan.real_split, plan.real_size) == ("val", "label")
    module = importlib.import_module("spade_edu.evaluation.inception")  # whose name is also its function's
    monkeypatch.setattr(module, "inception", lambda **_: torch.nn.Identity())
    with pytest.warns(UserWarning, match=f"no segmenter is published for {data}: mIoU and accuracy are left out"):
        judges = judges_of(plan, device=torch.device("cpu"))
    assert judges.segmenter is None and judges.features.distance == "FID" and judges.features.kernel == "KID"
    with pytest.raises(UserError, match="nothing to score"):
        judges_of(plan, distance=False, device=torch.device("cpu"))


def test_what_is_square_by_claim_and_what_by_the_images():
    photograph = torch.rand(1, 3, 48, 64)
    for data, size in (("ade20k", (16, 16)), ("coco-stuff", (16, 16)), ("cityscapes", (48, 64))):
        assert protocol("paper", data).real(photograph, (16, 16)).shape[2:] == size  # one batch of pytorch-fid in 2019
    assert protocol("clade", "ade20k").real(photograph, (16, 32)).shape[2:] == (16, 16)
    assert protocol("cc-fpse", "streets").feed(photograph, (48, 64), (16, 32)).shape[2:] == (16, 16)


def test_each_protocol_says_what_is_code_and_what_a_reply():
    origins = {name: protocol(name, "cityscapes").origin for name in NAMES}
    assert [name for name in NAMES if "reply" in origins[name]] == ["oasis", "clade", "cc-fpse"]
    assert "metric/cityscapes_mIoU.py" in origins["gan-compression"] and "issue 18" in origins["paper"]
    assert "never scored" in protocol("gan-compression", "ade20k").origin
    assert "void" in origins["paper"] and "void" not in protocol("paper", "coco-stuff").origin


# Worked out by hand: short side at 300 ... 600, long side at most 1000, rounded down, then up to multiples of 32.
OWN_SIZES = {
    (256, 256): [(320, 320), (384, 384), (480, 480), (544, 544), (608, 608)],
    (256, 512): [(320, 608), (384, 768), (480, 928), (512, 1024), (512, 1024)],
}


@pytest.mark.parametrize("size", OWN_SIZES)
def test_upernets_own_evaluation_averages_probabilities_over_five_scales(size):
    seen, answers = [], torch.randn(5, 1, 150, 6, 9) * 4

    def segmenter(image, label_size):
        seen.append(tuple(image.shape[2:]))
        assert label_size == (6, 9)
        return answers[len(seen) - 1]

    plan = protocol("csail", "ade20k")
    scores = plan.look(segmenter, torch.rand(1, 3, *size) * 2 - 1, (6, 9))
    assert seen == OWN_SIZES[size]
    by_hand = sum(answer.exp() / answer.exp().sum(1, keepdim=True) for answer in answers) / 5
    torch.testing.assert_close(scores, by_hand)
    prediction, target = plan.meet(scores, torch.zeros(1, 6, 9, dtype=torch.long))
    assert torch.equal(prediction, by_hand.argmax(1)) and target.shape == (1, 6, 9)


def test_the_segmenter_of_ade20k_can_be_chosen():
    assert protocol("oasis", "ade20k").segmenter == "upernet101"
    assert protocol("paper", "ade20k", "upernet101").segmenter == "upernet101"
    for data in ("cityscapes", "streets"):
        with pytest.raises(UserError, match="on ADE20K only, upernet101-baseline or upernet101; got 'upernet101'"):
            protocol("paper", data, "upernet101")
    with pytest.raises(UserError, match="'csail' is for ADE20K, not coco-stuff"):
        protocol("csail", "coco-stuff")


def test_enlarged_log_probabilities_choose_as_enlarged_logits():
    plan, label = protocol("gan-compression", "cityscapes"), torch.zeros(1, 24, 48, dtype=torch.long)
    logits = torch.randn(1, 19, 6, 12) * 5
    assert torch.equal(plan.meet(logits, label)[0], plan.meet(logits.log_softmax(1), label)[0])


def test_resizing_is_pillows():
    image = torch.randint(80, 176, (3, 20, 30), dtype=torch.uint8)  # Pillow also cuts off between its two passes
    for size in ((10, 17), (45, 60)):
        picture = Image.fromarray(image.permute(1, 2, 0).numpy()).resize(size[::-1], Image.Resampling.BICUBIC)
        pillows = torch.from_numpy(np.array(picture)).int().permute(2, 0, 1)
        ours = to_bytes(resize_image(from_bytes(image)[None], size, "bicubic"))[0]
        assert (ours.int() - pillows).abs().max() <= 1
    ids = torch.arange(20 * 30).view(1, 20, 30)
    picture = Image.fromarray(ids[0].int().numpy()).resize((15, 7), Image.Resampling.NEAREST)
    assert np.array_equal(resize_label(ids, (7, 15))[0], np.array(picture))


def test_files_and_tensors_score_alike(tmp_path, originals, perfect):
    noisy = [from_bytes(image) + 0.3 * torch.randn(3, *SIZE) for image in perfect]  # not on the grid of 256 levels
    for i, image in enumerate(noisy):
        pixels = to_bytes(image).permute(1, 2, 0).numpy()
        Image.fromarray(pixels).save(tmp_path / f"p{i:02d}.png")
    files = ImageFolder(tmp_path, originals.names())
    assert scored(files, originals) == scored([to_bytes(image) for image in noisy], originals)


def test_bootstrap_interval_covers_what_images_vary():
    g = torch.Generator().manual_seed(0)
    hits = torch.randint(0, 100, (40, 3), generator=g)
    alike = torch.stack([torch.full((40, 3), 30), torch.full((40, 3), 100), torch.full((40, 3), 100)], 1)
    varied = torch.stack([hits, torch.full((40, 3), 100), torch.full((40, 3), 100)], 1)
    assert bootstrap(alike, "skip")[1] == (pytest.approx(0.3), pytest.approx(0.3))
    low, high = bootstrap(varied, "skip")[1]
    standard_error = (hits.double().mean(1) / 100).std().item() / math.sqrt(40)
    assert high - low == pytest.approx(2 * 1.96 * standard_error, rel=0.15)
    assert bootstrap(varied, "skip") == bootstrap(varied, "skip")


def test_originals_of_streets_are_its_scenes():
    originals = Originals(Streets(3, split="val", height=16, width=32), count=2)
    assert len(originals) == 2 and originals.names() == ["val_000000", "val_000001"]
    assert originals[1].image.shape == (3, 16, 32) and originals[1].label.max() <= 255
    with pytest.raises(UserError, match="count 4"):
        Originals(Streets(3), count=4)


def save(folder, name, mode="RGB", size=(32, 16)):
    path = folder / name
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.new(mode, size).save(path)


def test_images_pair_by_the_end_of_their_names(tmp_path):
    save(tmp_path, "deep/b_synthesized_image.png")
    save(tmp_path, "a_leftImg8bit.jpg")
    folder = ImageFolder(tmp_path, ["city/a", "b"])
    assert [p.name for p in folder.paths] == ["a_leftImg8bit.jpg", "b_synthesized_image.png"]
    assert folder[1].shape == (3, 16, 32)


@pytest.mark.parametrize(
    "files,message",
    [
        ({}, "is empty"),
        ({"a.png": {}}, "1 images for 2 label maps.*without one: b"),
        ({"a.png": {}, "x.png": {}}, "no image of their name.*b.png; found there: x.png"),
        ({"a.png": {}, "b.png": {"size": (8, 8)}}, "differ in size: a.png is 16x32, b.png is 8x8"),
        ({"a.png": {"mode": "L"}, "b.png": {"mode": "L"}}, "a.png: expected a colour image.*grey-scale"),
        ({"a.png": {}, "c/a.jpg": {}, "b.png": {}}, "have one name"),
    ],
)
def test_a_users_mistakes_give_one_line(tmp_path, files, message):
    for name, options in files.items():
        save(tmp_path, name, **options)
    with pytest.raises(UserError, match=message) as caught:
        ImageFolder(tmp_path, ["a", "b"])
    assert "\n" not in str(caught.value)


def test_a_file_that_is_no_picture(tmp_path):
    (tmp_path / "a.png").write_bytes(b"<html>")
    with pytest.raises(UserError, match="a.png: expected a picture, found a file that cannot be read"):
        ImageFolder(tmp_path, ["a"])


def test_missing_folder_and_wrong_numbers(tmp_path, originals, perfect):
    with pytest.raises(UserError, match="not a folder"):
        ImageFolder(tmp_path / "nowhere", ["a"])
    with pytest.raises(UserError, match="23 generated images for 24 label maps"):
        scored(perfect[:23], originals)


def test_diversity_of_equal_and_of_different_samples():
    label = torch.zeros(8, 8, dtype=torch.long)
    label[:, 4:] = 2
    one = torch.rand(1, 3, 8, 8)
    samples = one.repeat(3, 1, 1, 1)
    assert diversity(samples, label, lambda x: [x], 4).mean == 0
    samples[1, :, :, 4:] = torch.rand(3, 8, 4)  # one sample differs, in class 2 only
    result = diversity(samples, label, lambda x: [x, F.avg_pool2d(x, 2)], 4)
    assert result.by_class[0] == 0 and result.by_class[2] > 0
    assert result.by_class[1].isnan() and result.by_class[3].isnan()
    assert result.mean == pytest.approx(result.by_class[2].item() / 2)  # half of the positions


def test_diversity_of_opposite_features_is_four():
    samples = torch.stack([torch.ones(3, 4, 4), -torch.ones(3, 4, 4)])
    label = torch.zeros(4, 4, dtype=torch.long)
    assert diversity(samples, label, lambda x: [x], 1).mean == pytest.approx(4)


def test_the_judge_sees_one_size_only():
    from spade_edu.pretrained.judge import Judge

    seen = []

    class WatchedJudge(Judge):
        def forward(self, image):
            seen.append(tuple(image.shape[2:]))
            return NearestColour()(image)

        def features(self, image):
            seen.append(tuple(image.shape[2:]))
            return mean_colours(image)

    judge = AtOneSize(WatchedJudge(), size=(16, 32))
    assert judge(torch.rand(1, 3, 32, 64)).shape == (1, 19, 32, 64)
    assert judge(torch.rand(1, 3, 16, 16)).shape == (1, 19, 16, 16)
    judge.features(torch.rand(1, 3, 8, 8))
    assert seen == [(16, 32)] * 3
