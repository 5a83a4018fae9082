"""features=own: a segmenter of the run's own training pictures for the perceptual loss, and a judge of its own."""

import re

import pytest
import torch
import trees

from spade_edu.checkpoints import CheckpointError
from spade_edu.config import TrainingConfig
from spade_edu.data import CamVid, DataError, open_splits
from spade_edu.data.streets import Streets
from spade_edu.errors import UserError
from spade_edu.evaluation import own_judge
from spade_edu.evaluation.protocol import protocol
from spade_edu.experiments import cells, tables
from spade_edu.experiments.cells import Bench
from spade_edu.models import build
from spade_edu.presets import preset
from spade_edu.runs import own_features
from spade_edu.runs.own_features import class_loss, fifths, loss_on, train_features
from spade_edu.runs.run import Run
from spade_edu.training import Trainer

SIZE = dict(height=32, width=64)
CPU = torch.device("cpu")
pytestmark = pytest.mark.filterwarnings("ignore:[0-9]+ images for 160 features")


@pytest.fixture
def short(monkeypatch):
    """Rounds of four steps, two of them."""
    monkeypatch.setattr(own_features, "ROUND", 4)
    monkeypatch.setattr(own_features, "ROUNDS", 2)


def scenes(count: int = 30) -> Streets:
    return Streets(count, **SIZE)


def run_of(folder, count: int = 32, **options) -> Run:
    settings: dict = dict(images=count, lambda_vgg=10.0, features="own") | options
    training, val, config, _ = open_splits(preset("test", **settings), scenes=4)
    return Run(folder, config, training, val, save_every=2)


def test_it_learns_and_keeps_the_weights_that_fitted_the_last_fifth_best(monkeypatch, capsys):
    monkeypatch.setattr(own_features, "ROUND", 10)
    monkeypatch.setattr(own_features, "ROUNDS", 4)
    told, data = [], scenes(60)
    monkeypatch.setattr(own_features, "loss_on", lambda *given: told.append(loss_on(*given)) or told[-1])
    network = train_features(data, CPU, 0)
    data.set_epoch(0)
    assert loss_on(network.eval(), data, range(48, 60)) == pytest.approx(min(told))
    assert min(told) < 0.8 * told[0] and "At most" in capsys.readouterr().out


def test_it_stops_where_the_last_fifth_gets_no_better(short, monkeypatch):
    monkeypatch.setattr(own_features, "ROUNDS", 20)
    monkeypatch.setattr(own_features, "train_round", lambda network, optimizer, batches: None)
    asked = []
    monkeypatch.setattr(
        own_features, "loss_on", lambda *given: asked.append(0) or [3.0, 2.0, 2.5, 2.0, 4.0][len(asked) - 1]
    )
    train_features(scenes(), CPU, 0)
    assert len(asked) == 5


def test_the_weights_of_the_best_look_are_kept_not_the_last(short, monkeypatch):
    monkeypatch.setattr(own_features, "ROUNDS", 3)
    seen, losses = [], [3.0, 1.0, 2.0]

    def look(network, *_):
        seen.append({name: value.clone() for name, value in network.state_dict().items()})
        return losses[len(seen) - 1]

    monkeypatch.setattr(own_features, "loss_on", look)
    kept = train_features(scenes(), CPU, 0).state_dict()
    assert all(torch.equal(kept[name], seen[1][name]) for name in kept)
    assert not all(torch.equal(kept[name], seen[2][name]) for name in kept)


def test_training_and_last_fifth_share_no_picture():
    for length in (30, 31, 34, 367):
        first, last = fifths(length)
        assert [*first, *last] == list(range(length)) and len(last) == length // 5


def test_pixels_without_a_class_do_not_count():
    data = scenes()
    network = own_features.SecondOpinion(data.labels.num_classes).eval()
    sample = own_features.stack([data[0]])
    half = sample.label.clone()
    half[:, :16] = data.labels.num_classes
    cut = sample._replace(label=half)
    logits = network.logits(sample.image)
    expected = torch.nn.functional.cross_entropy(logits[:, :, 16:], sample.label[:, 16:])
    torch.testing.assert_close(class_loss(network, cut), expected)
    assert class_loss(network, cut._replace(label=torch.full_like(half, data.labels.num_classes))) == 0


def test_a_killed_run_keeps_its_features_and_ends_with_the_same_weights(short, tmp_path, monkeypatch):
    whole = run_of(tmp_path / "whole")
    trained = whole.train(until=4, progress=False)
    assert (tmp_path / "whole" / own_features.FILE).exists()
    run_of(tmp_path / "parts").train(until=2, progress=False)
    monkeypatch.setattr(own_features, "train_features", lambda *_: pytest.fail("trained again"))
    again = run_of(tmp_path / "parts").train(until=4, progress=False)
    for a, b in zip(trained.generator.parameters(), again.generator.parameters()):
        assert torch.equal(a, b)
    assert "VGG" in (tmp_path / "parts" / "metrics.csv").read_text().splitlines()[0]
    assert not any(p.requires_grad for p in again.features.parameters())


def test_the_features_decide_what_a_run_learns(short, tmp_path):
    with_them = run_of(tmp_path / "a").train(until=1, progress=False)
    without = run_of(tmp_path / "b", lambda_vgg=0.0).train(until=1, progress=False)
    assert without.features is None and not (tmp_path / "b" / own_features.FILE).exists()
    pairs = zip(with_them.generator.parameters(), without.generator.parameters())
    assert not all(torch.equal(a, b) for a, b in pairs)


def test_under_30_pictures_there_is_no_perceptual_loss_and_one_line_says_so(tmp_path, capsys):
    run_of(tmp_path, count=8).train(until=2, progress=False)
    assert (
        "No perceptual loss: features=own takes at least 30 training pictures, here are 8." in capsys.readouterr().out
    )
    assert "VGG" not in (tmp_path / "metrics.csv").read_text() and not (tmp_path / own_features.FILE).exists()


def test_a_trainer_without_a_run_is_refused():
    config = TrainingConfig(**SIZE, ngf=4, ndf=4, hidden_channels=4, features="own")
    trainer, segmap = Trainer(*build(config, 5), config), torch.zeros(1, 5, 32, 64)
    with pytest.raises(UserError, match="features='own' are trained by a run"):
        trainer.step({"segmap": segmap, "image": torch.zeros(1, 3, 32, 64)})


def test_features_of_other_classes_are_refused(short, tmp_path):
    run_of(tmp_path).train(until=1, progress=False)
    other = trees.camvid_small(tmp_path / "camvid", count=30)
    with pytest.raises(CheckpointError, match=re.escape(str(tmp_path / own_features.FILE))):
        own_features.own_features(tmp_path, CamVid(other, **SIZE), CPU, 0)


def camvid(root):
    """The drives 0001TP, trained on, and Seq05VD, which is not; test has frames of both."""
    trees.camvid_small(root, "train", 30)
    trees.camvid_small(root, "val", 2)
    trees.camvid_small(root, "test", 3)
    for i in range(4):
        trees.photo(root / "test" / "images" / f"Seq05VD_{i}.jpg", i)
        trees.ids(root / "test" / "labels" / f"Seq05VD_{i}.png", 12, i, "P")
    return root


def test_camvids_unseen_frames_are_of_drives_that_no_training_saw(tmp_path):
    unseen = CamVid(camvid(tmp_path), "unseen")
    assert [pair.name for pair in unseen.pairs] == [f"Seq05VD_{i}" for i in range(4)]
    for file in tmp_path.glob("test/*/Seq05VD*"):
        file.unlink()
    with pytest.raises(DataError, match="test frames of a drive without training frames"):
        CamVid(tmp_path, "unseen")


def test_table_3_on_camvid_has_a_judge_of_its_own_and_scores_unseen_drives(short, tmp_path, monkeypatch):
    monkeypatch.setattr(own_judge, "STEPS", 2)
    rows = {"pix2pixHD++": "pix2pixHD++", "pix2pixHD": "pix2pixHD"}
    monkeypatch.setattr(tables, "rows_of", lambda number: rows)
    small = dict(height=32, width=64, ngf=4, ndf=4, num_blocks=1, features="own")
    monkeypatch.setitem(cells.MINIATURE, "camvid", small)
    bench = Bench(tmp_path / "out", "camvid", root=str(camvid(tmp_path / "data")), steps=2)
    result = tables.reproduce(3, bench, seeds=1)
    assert result["scored_images"] == 4 and result["perceptual_features"] == "own"
    assert result["distance"] == "FD (own judge)" and 0 < result["real"]["miou"] < 1
    assert len(list((tmp_path / "out").glob("judge-*.safetensors"))) == 1
    files = [path.read_bytes() for path in (tmp_path / "out").rglob("features*.safetensors")]
    assert len(files) == 3 and len(set(files)) == 1  # one a cell, and the one that they share
    told = tables.render(result)
    assert "photographs" in told and "small segmenter of the training pictures" in told


def test_the_judge_is_trained_once_and_from_its_own_seed(tmp_path, monkeypatch):
    monkeypatch.setattr(own_judge, "STEPS", 2)
    data, file = CamVid(trees.camvid_small(tmp_path, count=8), **SIZE), tmp_path / "judge.safetensors"
    torch.manual_seed(5)
    first = own_judge.own_judges(file, data, CPU)
    torch.manual_seed(6)
    own_judge.own_judges(tmp_path / "other.safetensors", data, CPU)
    assert (tmp_path / "other.safetensors").read_bytes() == file.read_bytes()
    monkeypatch.setattr(own_judge, "trained", lambda *_: pytest.fail("trained again"))
    again = own_judge.own_judges(file, data, CPU)
    image = torch.rand(1, 3, 32, 64)
    assert torch.equal(first.segmenter(image), again.segmenter(image))
    assert first.segmenter(image).shape == (1, 11, 32, 64)


def test_the_protocol_of_own_judges_is_for_data_without_a_published_one():
    assert protocol("own", "camvid").segmenter == "" and protocol("own", "folder").compared == "fed"
    with pytest.raises(UserError, match="the protocol 'own' is for data sets without a segmenter, not cityscapes"):
        protocol("own", "cityscapes")
