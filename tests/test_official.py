"""Reading and writing official checkpoints."""

import hooked
import published
import pytest
import torch
import trees
from torch.nn import functional as F

from spade_edu.data import ADE20K, stack
from spade_edu.errors import UserError
from spade_edu.evaluation.subjects import from_official
from spade_edu.generators import ConcatGenerator, SPADEGenerator
from spade_edu.pictures import to_uint8
from spade_edu.pretrained import official
from spade_edu.pretrained.weights import load_strictly

DATA_SETS = ("cityscapes", "coco", "ade20k")
CITYSCAPES = dict(num_upsampling_layers="more", crop_size=512, aspect_ratio=2.0)


def official_shapes(letter, name):
    """Those of Cityscapes without VAE, and what `name` changes."""
    changed = published.shapes("official_names", f"{letter} {name}")
    return published.shapes("official_names", letter) | changed


def random_state(shapes):
    """Random numbers for every entry, cut out of one buffer so that 100 million of them cost little."""
    buffer = torch.rand(12_000_000)
    state = {}
    for i, (name, shape) in enumerate(shapes.items()):
        if name.endswith("num_batches_tracked"):
            state[name] = torch.tensor(i)
        else:
            size = int(torch.Size(shape).numel())
            while size > len(buffer) - i:  # only fc of a VAE for 512x256 is that large
                buffer = torch.cat([buffer, buffer])
            state[name] = buffer[i : i + size].view(shape)
    return state


def assert_same_state(state, again):
    assert set(state) == set(again)
    for name, value in state.items():
        assert torch.equal(value, again[name]) and value.dtype == again[name].dtype, name


def parameters(module):
    return sum(p.numel() for p in module.parameters())


# Every listed entry, at full size ------------------------------------------------------------------------------------


@pytest.mark.parametrize("style", ["", "+vae"])
@pytest.mark.parametrize("name", DATA_SETS)
def test_listed_generators_round_trip(name, style):
    state = random_state(official_shapes("G", name + style))
    generator = official.load_generator(state, **(CITYSCAPES if name == "cityscapes" else {}))
    assert_same_state(state, official.to_official(generator))
    assert generator.z_dim == (256 if style else None) and not generator.training
    expected = {
        "cityscapes": 93_048_003, "coco": 97_480_899, "ade20k": 96_492_483,
        "cityscapes+vae": 101_136_579, "coco+vae": 112_626_883, "ade20k+vae": 111_942_595,
    }  # fmt: skip
    assert parameters(generator) == expected[name + style]


@pytest.mark.parametrize("name", [d + v for d in DATA_SETS for v in ("", "+vae")])
def test_listed_discriminators_round_trip(name):
    state = random_state(official_shapes("D", name))
    assert_same_state(state, official.to_official(official.load_discriminator(state)))


@pytest.mark.parametrize("name", [d + "+vae" for d in DATA_SETS])
def test_listed_encoders_round_trip(name):
    state = random_state(official_shapes("E", name))
    encoder = official.load_encoder(state)
    assert_same_state(state, official.to_official(encoder))
    assert parameters(encoder) == 10_463_424


@pytest.mark.parametrize(
    "kind, name, total",
    [
        ("global", "global_generator", 182_546_755),
        ("local", "local_enhancer", 182_857_059),
        ("encoder", "encoder", 788_803),
        ("discriminator", "multiscale_discriminator", 5_603_202),
    ],
)
def test_listed_pix2pixhd_networks_round_trip(kind, name, total):
    state = random_state(published.shapes("official_names", f"pix2pixhd_{name}"))
    network = official.load_pix2pixhd(state, kind)
    assert_same_state(state, official.to_official(network))
    assert parameters(network) == total and not network.training


# Same outputs as networks written with torch's own parts -------------------------------------------------------------


def settled(network, *inputs):
    """A network with weights that make every part matter, after two training forwards, in evaluation mode."""
    hooked.randomise(network, std=0.1).train()
    for _ in range(2):
        network(*inputs)
    return network.eval()


def assert_close(ours, theirs, tolerance=1e-5):
    """Within `tolerance` of the output's spread."""
    assert (ours - theirs).abs().max() <= tolerance * (theirs.max() - theirs.min())


@pytest.mark.parametrize("plan, crop, aspect, size", [
    ("normal", 64, 1.0, (64, 64)), ("normal", 64, 2.0, (32, 64)), ("more", 128, 2.0, (64, 128)),
    ("most", 128, 1.0, (128, 128)),
])  # fmt: skip
@pytest.mark.parametrize("z_dim", [None, 6])
def test_generator_agrees(plan, crop, aspect, size, z_dim):
    latent = official.official_latent_size(crop, aspect, plan)
    mask, z = torch.rand(2, 5, *size), torch.randn(2, 6)
    theirs = settled(hooked.HookedGenerator(5, 4, latent, plan, z_dim), mask, z)
    ours = official.load_generator(theirs.state_dict(), num_upsampling_layers=plan, crop_size=crop, aspect_ratio=aspect)
    with torch.no_grad():
        image = ours(mask, z)
        assert image.shape == (2, 3, *size)
        assert_close(image, theirs(mask, z))
        if z_dim:
            assert ours(mask).shape == image.shape  # z drawn where none is given, on a CPU too


@pytest.mark.parametrize("kernel", [1, 5])
@pytest.mark.parametrize("norm", ["batch", "instance"])
@pytest.mark.parametrize("wrap", [hooked.spectral, hooked.plain])
def test_generator_options_are_read_off_the_file(kernel, norm, wrap):
    mask = torch.rand(2, 5, 64, 64)
    theirs = settled(hooked.HookedGenerator(5, 2, (2, 2), kernel=kernel, norm=norm, wrap=wrap), mask)
    ours = official.load_generator(theirs.state_dict(), crop_size=64)
    with torch.no_grad():
        assert_close(ours(mask), theirs(mask))


@pytest.mark.parametrize("scales, layers, ndf", [(2, 4, 8), (3, 3, 4), (1, 5, 4)])
def test_discriminator_agrees(scales, layers, ndf):
    segmap, image = torch.rand(2, 4, 48, 64), torch.rand(2, 3, 48, 64)
    both = torch.cat([segmap, image], 1)
    theirs = settled(hooked.HookedDiscriminator(4, ndf, scales, layers), both)
    ours = official.load_discriminator(theirs.state_dict())
    with torch.no_grad():
        expected, features = theirs(both), ours(segmap, image)
    assert [len(f) for f in features] == [layers + 1] * scales
    for scale, other in zip(features, expected):
        for a, b in zip(scale, other):
            assert_close(a, b)


@pytest.mark.parametrize("size", [(256, 256), (64, 128)])
def test_encoder_agrees(size):
    image = torch.rand(2, 3, *size) * 2 - 1
    theirs = settled(hooked.HookedEncoder(4, 6), image)
    with torch.no_grad():
        for a, b in zip(official.load_encoder(theirs.state_dict())(image), theirs(image)):
            assert_close(a, b)


def pix2pixhd_discriminator_state(scales=2):
    widths = [4 + 3, 4, 8, 16, 32, 1]
    state = {}
    for scale in range(scales):
        for layer, (fin, fout) in enumerate(zip(widths, widths[1:])):
            state[f"scale{scale}_layer{layer}.0.weight"] = torch.randn(fout, fin, 4, 4) * 0.2
            state[f"scale{scale}_layer{layer}.0.bias"] = torch.randn(fout)
    return state


@pytest.mark.parametrize("scales", [2, 3])
def test_pix2pixhd_discriminator_is_stored_coarsest_scale_first(scales):
    state = pix2pixhd_discriminator_state(scales)
    segmap, image = torch.rand(2, 4, 64, 96), torch.rand(2, 3, 64, 96)
    features = official.load_pix2pixhd(state, "discriminator")(segmap, image)
    x = torch.cat([segmap, image], 1)
    for scale, maps in zip(range(scales - 1, -1, -1), features):
        y = x
        for layer, found in enumerate(maps):
            name = f"scale{scale}_layer{layer}.0"
            y = F.conv2d(y, state[f"{name}.weight"], state[f"{name}.bias"], stride=2 if layer < 3 else 1, padding=2)
            y = F.instance_norm(y) if 0 < layer < 4 else y
            y = F.leaky_relu(y, 0.2) if layer < 4 else y
            assert_close(found, y)
        x = F.avg_pool2d(x, 3, stride=2, padding=1, count_include_pad=False)


# Files and mistakes --------------------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def state():
    return hooked.HookedGenerator(36, 2, (2, 2)).state_dict()


def test_a_file_is_read_and_written_back(state, tmp_path):
    torch.save(state, tmp_path / "latest_net_G.pth")
    generator = official.load_generator(tmp_path / "latest_net_G.pth", crop_size=64)
    torch.save(official.to_official(generator), tmp_path / "again.pth")
    assert_same_state(state, torch.load(tmp_path / "again.pth", weights_only=True))


def parametrized(state):
    """The names of torch.nn.utils.parametrizations.spectral_norm."""
    new = {"weight_orig": "original", "weight_u": "0._u", "weight_v": "0._v"}
    names = {name: name.rpartition(".") for name in state}
    return {
        f"{layer}.parametrizations.weight.{new[leaf]}" if leaf in new else name: state[name]
        for name, (layer, _, leaf) in names.items()
    }


WRAPPED = {
    "module.": lambda state: {f"module.{name}": value for name, value in state.items()},
    "netG. beside netD.": lambda state: (
        {f"netG.{name}": value for name, value in state.items()}
        | {f"netD.{name}": value for name, value in hooked.HookedDiscriminator(36, 2).state_dict().items()}
    ),
    "state_dict": lambda state: {"epoch": 3, "state_dict": dict(state), "optimizer": {"state": {}}},
    "two deep": lambda state: {"model": {"G": {f"module.{name}": v for name, v in state.items()}, "step": 1}},
    "with numbers beside": lambda state: {**state, "epoch": 50},
    "parametrizations": parametrized,
    "all of it": lambda state: {"net": {f"module.netG.{name}": v for name, v in parametrized(state).items()}},
}


@pytest.mark.parametrize("wrap", WRAPPED)
def test_wrapped_files_are_read(state, tmp_path, wrap):
    torch.save(WRAPPED[wrap](state), tmp_path / "latest_net_G.pth")
    generator = official.load_generator(tmp_path / "latest_net_G.pth", crop_size=64)
    assert_same_state(state, official.to_official(generator))


def test_the_new_names_are_torchs():
    layer = torch.nn.utils.parametrizations.spectral_norm(torch.nn.Conv2d(2, 3, 3))
    old = {
        name.partition(".")[2] for name in parametrized({f"a.{n}": 0 for n in ("weight_orig", "weight_u", "weight_v")})
    }
    assert old | {"bias"} == set(layer.state_dict())


@pytest.mark.parametrize("wrap", [lambda s: {f"module.{n}": v for n, v in s.items()}, lambda s: {"epoch": 1, "net": s}])
def test_other_published_weights_are_unwrapped_too(wrap):
    source, target = torch.nn.Linear(2, 3), torch.nn.Linear(2, 3)
    load_strictly(target, wrap(source.state_dict()), "a layer")
    assert torch.equal(source.weight, target.weight)
    with pytest.raises(UserError, match="not the weights of a layer"):
        load_strictly(torch.nn.Linear(3, 3), wrap(source.state_dict()), "a layer")


def test_two_networks_of_a_kind_are_named(state):
    both = {"netG": dict(state), "netG_ema": dict(state)}
    with pytest.raises(UserError, match="several networks of the kind SPADE generator: 'netG', 'netG_ema'. Save"):
        official.load_generator(both)


def test_wrapped_networks_of_another_kind_are_named(state):
    with pytest.raises(UserError, match="looks like a SPADE generator of Cityscapes"):
        official.load_discriminator({"state_dict": {f"module.{name}": value for name, value in state.items()}})


def test_other_parametrizations_are_named(state):
    normed = {name.replace("weight_orig", "parametrizations.weight.original0"): v for name, v in state.items()}
    with pytest.raises(UserError, match=r"lacks up_0\.\S+ \(there is \S+\)|lacks head_0\.\S+ \(there is head_0\.conv"):
        official.load_generator(normed, crop_size=64)


def test_a_file_says_its_options(state):
    """Cityscapes by its channels; what to_official wrote by its note; other channels the official defaults."""
    assert official.load_generator(state).latent == (4, 8) and official.load_generator(state).plan == "more"
    assert official.load_generator(state, crop_size=64).latent == (2, 2)
    own = SPADEGenerator(36, ngf=2, latent=(2, 6), num_upsampling_layers="normal")
    again = official.load_generator(official.to_official(own))
    assert (again.latent, again.plan) == ((2, 6), "normal")
    assert official.load_generator(hooked.HookedGenerator(151, 2, (2, 2)).state_dict()).latent == (8, 8)


def test_options_outlive_a_file(tmp_path):
    own = SPADEGenerator(36, ngf=2, latent=(1, 3), num_upsampling_layers="more")
    torch.save(official.to_official(own), tmp_path / "G.pth")
    assert official.load_generator(tmp_path / "G.pth").latent == (1, 3)


def test_numbers_are_used_as_float32(state):
    halves = {name: value.half() if value.is_floating_point() else value for name, value in state.items()}
    generator = official.load_generator(halves, crop_size=64)
    assert all(p.dtype == torch.float32 and p.requires_grad for p in generator.parameters())


def test_the_loaded_network_has_copies_of_its_own(state):
    before = state["conv_img.bias"].clone()
    with torch.no_grad():
        official.load_generator(state, crop_size=64).conv_img.bias.add_(1)
    assert torch.equal(state["conv_img.bias"], before)


def test_a_file_with_code_is_refused(tmp_path):
    class Evil:
        def __reduce__(self):
            return print, ("executed",)

    torch.save({"head_0": Evil()}, tmp_path / "latest_net_G.pth")
    with pytest.raises(UserError, match="not a file of PyTorch weights"):
        official.load_generator(tmp_path / "latest_net_G.pth")


def test_a_missing_or_broken_file_is_refused(tmp_path):
    with pytest.raises(UserError, match="no file"):
        official.load_generator(tmp_path / "latest_net_G.pth")
    (tmp_path / "broken.pth").write_bytes(b"PK\x03\x04 cut off")
    with pytest.raises(UserError, match="download cut off"):
        official.load_generator(tmp_path / "broken.pth")


def test_the_wrong_network_is_named_with_its_data_set(state):
    discriminator = hooked.HookedDiscriminator(184, 2).state_dict()
    with pytest.raises(
        UserError, match=r"SPADE discriminator of COCO-Stuff \(184 label channels\).*load_discriminator"
    ):
        official.load_generator(discriminator)
    with pytest.raises(UserError, match=r"SPADE generator of Cityscapes \(36 label channels\).*load_generator"):
        official.load_encoder(state)
    with pytest.raises(UserError, match="pix2pixHD discriminator.*load_pix2pixhd"):
        official.load_discriminator(pix2pixhd_discriminator_state())
    with pytest.raises(UserError, match="holds 'epoch"):
        official.load_generator({"epoch": torch.tensor(1)})


@pytest.mark.parametrize("name", ["fc.bias", "up_3.conv_s.weight_v", "head_0.norm_0.mlp_shared.0.weight"])
def test_a_missing_entry_is_named(state, name):
    with pytest.raises(UserError, match=f"SPADE generator.* lacks {name}"):
        official.load_generator({k: v for k, v in state.items() if k != name}, crop_size=64)


def test_an_unknown_entry_and_a_wrong_shape_are_named(state):
    with pytest.raises(UserError, match="unknown entry 'extra'"):
        official.load_generator({**state, "extra": torch.zeros(1)}, crop_size=64)
    with pytest.raises(UserError, match=r"conv_img.bias is \(4,\).*Cityscapes.*\(3,\)"):
        official.load_generator({**state, "conv_img.bias": torch.zeros(4)}, crop_size=64)


def test_options_that_the_file_contradicts(state):
    with pytest.raises(UserError, match="isn't 'most'"):
        official.load_generator(state, num_upsampling_layers="most", crop_size=128)
    style = hooked.HookedGenerator(36, 2, (1, 2), z_dim=4).state_dict()
    with pytest.raises(UserError, match="2 cells.*4x8.*Cityscapes: num_upsampling_layers='more'"):
        official.load_generator(style)
    with pytest.raises(UserError, match="'global', 'local'"):
        official.load_pix2pixhd({}, "locall")


@pytest.mark.parametrize(
    "crop, aspect, plan, expected",
    [(512, 2.0, "more", (4, 8)), (256, 1.0, "normal", (8, 8)), (64, 2.0, "normal", (1, 2)),
     (128, 2.0, "more", (1, 2)), (256, 2.0, "most", (1, 2)), (100, 1.0, "normal", (3, 3)),
     (120, 1.0, "normal", (3, 3)), (96, 2.0, "normal", (2, 3))],  # width rounded down, height to the nearest
)  # fmt: skip
def test_latent_size_as_the_official_code_computes_it(crop, aspect, plan, expected):
    assert official.official_latent_size(crop, aspect, plan) == expected


@pytest.mark.parametrize("crop, aspect, plan", [(64, 2.0, "more"), (16, 1.0, "normal")])
def test_a_first_map_of_height_zero_is_refused(crop, aspect, plan):
    with pytest.raises(UserError, match="first map of 0x"):
        official.official_latent_size(crop, aspect, plan)


def test_networks_that_were_never_official_are_not_written():
    with pytest.raises(UserError, match="ConcatGenerator"):
        official.to_official(ConcatGenerator(4, ngf=2))


# ADE20K's order of labels --------------------------------------------------------------------------------------------


def what_the_official_reader_feeds(values):
    """One-hot label files (n, h, w), values 0 to 150: `moved` is made and never put back, as in the official reader."""
    sample = {"label": values}
    moved = sample["label"] - 1
    moved[moved == -1] = 150
    return F.one_hot(sample["label"], 151).movedim(-1, 1).float()


def small_ade20k_generator():
    torch.manual_seed(0)
    return SPADEGenerator(151, latent=(8, 8), ngf=2, hidden_channels=4).eval()


def test_official_ade20k_weights_see_the_channels_of_the_official_reader(tmp_path):
    dataset = ADE20K(trees.ade20k(tmp_path), "val", height=12, width=24)
    values = torch.stack([torch.from_numpy(trees.noise(i, top=151)) for i in range(4)])
    ours = dataset.labels.encode(stack([*dataset]).label)
    seen = []
    probe = official.InOfficialOrder(small_ade20k_generator())
    probe.generator.forward = lambda segmap, z: seen.append(segmap) or segmap
    probe(ours)
    assert torch.equal(seen[0], what_the_official_reader_feeds(values))
    assert not torch.equal(ours, what_the_official_reader_feeds(values)), "as they are, every class is its neighbour"


@pytest.mark.parametrize("written_here, asked, expected", [
    (False, "", "official"), (True, "", "package"), (False, "package", "package"), (True, "official", "official"),
])  # fmt: skip
def test_which_order_an_official_file_is_read_in(tmp_path, capsys, written_here, asked, expected):
    network, file = small_ade20k_generator(), tmp_path / "latest_net_G.pth"
    state = official.to_official(network)
    torch.save(state if written_here else dict(state), file)
    root = trees.ade20k(tmp_path)
    subject = from_official(file, "ade20k", str(root), 1, 0, "cpu", asked)
    assert f"Label channels in the {expected} order" in capsys.readouterr().out
    sample = subject.place.inputs()[0]
    values = torch.where(sample.label == 150, 0, sample.label.long() + 1)[None]
    package = subject.place.inputs().labels.encode(sample.label[None])
    segmap = what_the_official_reader_feeds(values) if expected == "official" else package
    with torch.no_grad():
        image = to_uint8(network(segmap)).movedim(-1, -3)[0]
    assert torch.equal(subject.images[0], image)


def test_an_order_is_asked_for_by_its_name_and_of_ade20k(tmp_path):
    network = SPADEGenerator(36, latent=(4, 8), num_upsampling_layers="more", ngf=2, hidden_channels=4)
    torch.save(official.to_official(network), tmp_path / "G.pth")
    root = str(trees.cityscapes(tmp_path, "val"))
    with pytest.raises(UserError, match="--label-order is for ADE20K"):
        from_official(tmp_path / "G.pth", "cityscapes", root, 1, 0, "cpu", "official")
    with pytest.raises(UserError, match="--label-order is official or package, not 'raw'"):
        from_official(tmp_path / "G.pth", "cityscapes", root, 1, 0, "cpu", "raw")
