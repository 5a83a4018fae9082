"""`train --from`: what fits of other weights is taken, classes are matched by name, the rest keeps its start."""

import re
import shutil
from dataclasses import replace
from pathlib import Path

import pytest
import torch
import trees

from spade_edu import CITYSCAPES
from spade_edu.checkpoints import checkpoints, save_weights
from spade_edu.cli import main
from spade_edu.data import ADE20K, open_splits
from spade_edu.encoder import StyleEncoder
from spade_edu.generators import SPADEGenerator
from spade_edu.models import build
from spade_edu.presets import preset
from spade_edu.pretrained.official import to_official
from spade_edu.runs.beginning import begin_from, by_letter, matches, open_weights
from spade_edu.runs.loading import load_config
from spade_edu.runs.run import Run

SMALL = ["--preset", "test", "--set", "images=4", "--set", "epochs_decay=0"]
SHARED = "head_0.norm_0.mlp_shared.0.weight"
CODE = str(Path(__file__).parents[1] / "solutions" / "my_spade.py")


def data(name, classes, instances=False):
    for split in "train", "val":
        for i in range(4):
            trees.photo(Path(name, split, "images", f"{i}.jpg"), i)
            for kind in ("labels", "instances")[: 1 + instances]:
                trees.ids(Path(name, split, kind, f"{i}.png"), len(classes), i)
    Path(name, "classes.txt").write_text("\n".join(classes) + "\n")
    return ["--data", "folder", "--root", name]


@pytest.fixture(scope="module")
def place(tmp_path_factory):
    """A run on sky, road, car and their edges, and another data set."""
    root = tmp_path_factory.mktemp("from")
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(root)
        main(["train", *SMALL, *data("first", ["sky", "road", "car"], instances=True), "--out", "old"])
        data("second", ["tree", "CAR", "dog", "Sky"])
    return root


@pytest.fixture
def train(place, tmp_path, monkeypatch, capsys):
    """Train on the other data; gives exit code, output and message."""
    monkeypatch.chdir(shutil.copytree(place, tmp_path / "copy"))

    def train(*words):
        capsys.readouterr()
        try:
            main(["train", *SMALL, "--data", "folder", "--root", "second", "--out", "new", *words])
            code = 0
        except SystemExit as end:
            code = end.code
        return code, *capsys.readouterr()

    return train


def begun(config, labels, name, partial=False):
    """New networks' tensors by letter: as they are built, and begun from weights."""
    config = replace(config, start_from=name)
    plain, networks = (build(config, labels) for _ in range(2))
    begin_from(networks, config, labels, partial=partial)
    return [{k: network.state_dict() for k, network in by_letter(n).items()} for n in (plain, networks)]


def test_other_classes_take_what_has_their_name_and_the_rest_starts_anew(train):
    code, out, _ = train("--from", "old")
    assert code == 0 and "Done: 2 steps" in out
    assert "Label channels by name, taken: CAR, Sky; new: tree, dog." in out and "From old, with new" in out
    config = load_config(Path("new"))
    labels = open_splits(config).training.labels
    assert config.start_from == "old"
    (plain, new), old = begun(config, labels, "old"), open_weights("old").networks
    old = {letter: network.state_dict() for letter, network in old.items()}
    assert torch.equal(new["G"]["conv_img.weight"], old["G"]["conv_img.weight"])
    for letter, name in ("G", SHARED), ("D", "scales.1.layers.0.0.weight"):
        start, ours, theirs = plain[letter][name], new[letter][name], old[letter][name]
        assert torch.equal(ours[:, 1], theirs[:, 2]) and torch.equal(ours[:, 3], theirs[:, 0])
        assert torch.equal(ours[:, [0, 2]], start[:, [0, 2]]) and not torch.equal(start[:, 1], theirs[:, 2])
    assert torch.equal(ours[:, 4:], theirs[:, 4:]), "D's channels of the image stand behind the labels and the edges"


def test_a_begun_run_goes_on_to_the_same_weights_without_what_it_began_from(train, tmp_path):
    train("--from", "old", "--save-every", "1")
    whole = checkpoints(Path("new/checkpoints"))[-1] / "G.safetensors"
    kept = whole.read_bytes()
    shutil.rmtree(whole.parent)
    shutil.rmtree("old")
    code, out, _ = train("--from", "old", "--save-every", "1")
    assert code == 0 and "From old" not in out and whole.read_bytes() == kept
    code, _, message = train()
    assert code == 2 and "start_from = 'old', now it is ''" in message


def test_steps_and_optimisers_start_anew_and_the_average_starts_from_the_weights(place, monkeypatch):
    monkeypatch.chdir(place)
    splits = open_splits(preset("test", data="folder", root="second", ema=0.9, start_from="old"))
    run = Run(Path("averaged"), splits.config, splits.training, splits.validation)
    assert run.step == run.trainer.steps_done == 0 and not run.trainer.optimizer_g.state
    assert torch.equal(run.trainer.averaged.conv_img.weight, run.trainer.generator.conv_img.weight)
    assert torch.equal(run.trainer.averaged.conv_img.weight, open_weights("old").networks["G"].conv_img.weight)


@pytest.mark.parametrize("model", ["concat", "pix2pixhd", "pix2pixhd++", "pix2pixhd++ concat", "pix2pixhd++ spade"])
def test_each_model_knows_where_its_labels_stand(place, monkeypatch, model):
    """With the same classes all is taken; reordered, a generator paints the same from the reordered map."""
    monkeypatch.chdir(place)
    config = preset("test", model, ema=0.0, init_gain=1.0) if model != "pix2pixhd" else preset("test", model)
    source, ours = build(replace(config, seed=1), 4), build(config, 4)
    weights = by_letter(source)
    monkeypatch.setattr(
        "spade_edu.runs.beginning.open_weights", lambda _: type(open_weights("old"))(weights, list("abcd"))
    )
    labels = replace(CITYSCAPES, instances=False, classes=tuple(replace(CITYSCAPES.classes[0], name=n) for n in "dbca"))
    begin_from(ours, replace(config, start_from="x"), labels, partial=False)
    segmap = torch.nn.functional.one_hot(torch.randint(4, (2, 32, 64)), 4).movedim(-1, 1).float()
    swapped, image = segmap[:, [3, 1, 2, 0]], torch.rand(2, 3, 32, 64)
    for network in (*weights.values(), *by_letter(ours).values()):
        network.train()  # takes v from u
    for _ in range(2):
        pictures = [n.generator(s) for n, s in ((source, segmap), (ours, swapped))]
        judged = [n.discriminator(s, image) for n, s in ((source, segmap), (ours, swapped))]
    torch.testing.assert_close(*pictures, rtol=1e-3, atol=1e-3)
    torch.testing.assert_close(*judged, rtol=1e-3, atol=1e-3)


def test_names_are_matched_whatever_their_case_and_a_second_of_a_name_is_another():
    assert matches(["Traffic-Light", "door", "door", "new"], ["door", "traffic_light", "door"]) == [
        (0, 1),
        (1, 0),
        (2, 2),
    ]
    assert matches(["", "a"], ["", ""]) == []


def test_stored_networks_begin_a_run_on_other_data(train):
    wide = ["--set", "ngf=16", "--set", "hidden_channels=32", "--set", "z_dim=16", "--style"]
    code, out, _ = train("--from", "spade", *wide, "--set", "height=64", "--set", "width=128")
    assert code == 0 and "D: none there, starts anew" in out and "taken: CAR, Sky; new: tree, dog" in out
    assert re.search(r"E: (\d+) of \1 tensors, 100 % of its weights\.", out)


@pytest.mark.parametrize("order", ["official", "package"])
def test_official_files_are_taken_with_what_lies_beside_and_in_their_own_order(tmp_path, capsys, order):
    options = dict(ngf=4, hidden_channels=8, latent=(4, 4))
    G, config = SPADEGenerator(151, **options), preset("test", height=128, width=128)
    D = build(config, 151).discriminator
    for letter, network in ("G", G), ("D", D):
        state = to_official(network)
        if order == "official":
            state.__dict__.pop("_metadata")
        torch.save(state, tmp_path / f"latest_net_{letter}.pth")
    _, new = begun(config, ADE20K.labels, str(tmp_path / "latest_net_G.pth"))
    out = capsys.readouterr().out
    assert "new:" not in out and "D: " in out and "none there" not in out
    rolled = G.state_dict()[SHARED].roll(-1, dims=1) if order == "official" else G.state_dict()[SHARED]
    assert torch.equal(new["G"][SHARED], rolled)


def test_official_files_of_unknown_classes_give_all_but_their_labels(tmp_path, capsys):
    torch.save(
        to_official(SPADEGenerator(5, ngf=4, hidden_channels=8, latent=(2, 4), z_dim=3)), tmp_path / "a_net_G.pth"
    )
    torch.save(to_official(StyleEncoder(nef=4, z_dim=3, image_size=64)), tmp_path / "a_net_E.pth")
    config = preset("test", height=64, width=128, style=True, z_dim=3)
    begun(config, CITYSCAPES, str(tmp_path / "a_net_G.pth"), partial=True)
    out = capsys.readouterr().out
    assert "D: none there" in out and "taken:" not in out and "100 % of its weights" in out


def test_too_few_weights_are_refused_and_taken_with_the_option(train):
    code, _, message = train("--from", "old", "--set", "ngf=8")
    assert code == 2 and "of the generator's weights fit" in message and len(message.splitlines()) == 1
    assert not Path("new").exists()
    code, out, _ = train("--from", "old", "--set", "ngf=8", "--partial")
    assert code == 0 and "(not " in out


def test_a_broken_newest_checkpoint_is_passed_over(train):
    newest = checkpoints(Path("old/checkpoints"))[-1]
    shutil.copytree(newest, newest.with_name("0000009"))
    Path("old/checkpoints/0000009/G.safetensors").write_bytes(b"half")
    code, out, _ = train("--from", "old")
    assert code == 0 and "Passing over" in out and "taken: CAR, Sky" in out


def test_what_is_no_source_is_said_in_a_line(train, tmp_path):
    save_weights(build(preset("test"), 4).generator, tmp_path / "G.safetensors")
    for words, said in {
        ("nowhere",): "no such run folder, official generator's file (latest_net_G.pth) or stored network (spade, ",
        (str(tmp_path / "G.safetensors"),): "G.safetensors",
        ("second",): "no such run folder",
        ("old", "--code", CODE): "leave one out",
    }.items():
        code, _, message = train("--from", *words)
        assert code == 2 and said in message and len(message.splitlines()) == 1, message
        assert not Path("new").exists()
