import hashlib
from functools import partial
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from threading import Thread

import published
import pytest
import torch
from torch import nn

from spade_edu.errors import UserError
from spade_edu.evaluation.protocol import protocol
from spade_edu.evaluation.segmenters import Segmenter, load_segmenter
from spade_edu.evaluation.segmenters.deeplab import DeepLab
from spade_edu.evaluation.segmenters.drn import DRN
from spade_edu.evaluation.segmenters.upernet import BaselineUPerNet, UPerNet
from spade_edu.pretrained.weights import CATALOGUE, Weights, fetch

SCRATCH = ("_tmp_running_mean", "_tmp_running_var", "_running_iter")
TABLES = {
    "drn_d_105": ["drn_d_105_cityscapes"],
    "upernet101": ["upernet101_ade20k_encoder", "upernet101_ade20k_decoder"],
    "deeplabv2_resnet101": ["deeplabv2_resnet101_msc_cocostuff"],
}


def published_state(table):
    """A state dict of the published names and shapes (one number each, seen as a whole tensor)."""
    shapes = published.shapes("evaluator_names", table)
    return {name: torch.tensor(0.5).expand(shape) for name, shape in shapes.items()}


def fingerprint(state):
    lines = [f"{name} {list(value.shape)}" for name, value in state.items() if not name.endswith(SCRATCH)]
    return hashlib.sha256("\n".join(sorted(lines)).encode()).hexdigest()[:16]


def on_meta(build):
    with torch.device("meta"):
        return build()


def parameters(module):
    return sum(p.numel() for p in module.parameters())


@pytest.fixture(scope="module")
def drn():
    return Segmenter(DRN())


@pytest.fixture(scope="module")
def upernet():
    return Segmenter(UPerNet())


@pytest.fixture(scope="module")
def deeplab():
    return Segmenter(DeepLab())


# Fingerprints of the names and shapes in the published files, scratch buffers left out.
@pytest.mark.parametrize(
    "build,total,names",
    [
        (DRN, 54_302_915, "afb00973c3e95565"),
        (UPerNet, 83_214_422, "cf7b2cc30aa13a4f"),
        (DeepLab, 55_919_384, "7f9ff123714f5705"),
    ],
)
def test_parameters_and_names_as_published(build, total, names):
    network = on_meta(build)
    assert parameters(network) == total
    assert fingerprint(network.state_dict()) == names


@pytest.mark.parametrize("name", TABLES)
def test_published_names_and_shapes_load_strictly(name):
    states = [published_state(table) for table in TABLES[name]]
    segmenter = load_segmenter(name, states if len(states) > 1 else states[0])
    assert not segmenter.training and not any(p.requires_grad for p in segmenter.parameters())
    assert all((p == 0.5).all() for p in segmenter.parameters())


@pytest.mark.parametrize("change", ["missing", "unknown", "shape"])
def test_any_other_name_or_shape_is_refused(change):
    state = {k: v for k, v in on_meta(DRN).state_dict().items()}
    state = {k: torch.tensor(0.0).expand(v.shape) for k, v in state.items()}
    if change == "missing":
        del state["seg.bias"]
    elif change == "unknown":
        state["fc.weight"] = torch.zeros(2)
    else:
        state["seg.bias"] = torch.zeros(18)
    with pytest.raises(UserError, match="not the weights of drn_d_105.*(seg.bias|fc.weight)"):
        load_segmenter("drn_d_105", state)


def test_scratch_buffers_are_dropped_and_nothing_else_is():
    shape = {k: torch.tensor(0.0).expand(v.shape) for k, v in on_meta(UPerNet).encoder.state_dict().items()}
    decoder = {k: torch.tensor(0.0).expand(v.shape) for k, v in on_meta(UPerNet).decoder.state_dict().items()}
    scratch = {"bn1" + s: torch.zeros(1) for s in ("._tmp_running_mean", "._tmp_running_var", "._running_iter")}
    load_segmenter("upernet101", (shape | scratch, decoder))
    with pytest.raises(UserError, match="upernet101's encoder.*bn1.other"):
        load_segmenter("upernet101", (shape | {"bn1.other": torch.zeros(1)}, decoder))


def test_parts_of_drn():
    network = on_meta(DRN)
    stages = [2_384, 2_336, 4_672, 205_568, 1_219_584, 26_090_496, 14_964_736, 9_438_208, 2_360_320]
    assert [parameters(stage) for stage in network.base] == stages
    assert (parameters(network.seg), parameters(network.up)) == (9_747, 4_864)
    convs = [
        [m for m in stage.modules() if isinstance(m, nn.Conv2d) and m.kernel_size[0] > 1] for stage in network.base
    ]
    assert [{c.dilation[0] for c in stage} for stage in convs] == [{1}] * 5 + [{2}, {4}, {2}, {1}]
    assert [stage[0].stride[0] for stage in convs] == [1, 1, 2, 2, 2, 1, 1, 1, 1]
    assert not any(isinstance(m, nn.MaxPool2d) for m in network.modules())


def test_parts_of_upernet():
    network = on_meta(UPerNet)
    assert (parameters(network.encoder), parameters(network.decoder)) == (42_623_936, 40_590_486)
    d = network.decoder
    parts = [d.ppm_conv, d.ppm_last_conv, d.fpn_in, d.fpn_out, d.conv_last]
    assert [parameters(p) for p in parts] == [4_198_400, 18_875_392, 920_576, 7_080_960, 9_515_158]


def test_parts_of_deeplab():
    base = on_meta(DeepLab).base
    assert parameters(base.aspp) == 13_419_224
    firsts = [stage.block1 for stage in (base.layer2, base.layer3, base.layer4, base.layer5)]
    assert [b.reduce.conv.stride[0] for b in firsts] == [1, 2, 1, 1]  # the stride sits on the first 1x1
    assert all(b.conv3x3.conv.stride == (1, 1) for b in firsts)
    assert [b.conv3x3.conv.dilation[0] for b in firsts] == [1, 1, 2, 4]


def test_drn_sizes_and_up_convolution(drn):
    # the published bilinear kernel, from its formula
    f, c = 8, 15 / 16
    ramp = 1 - (torch.arange(16) / f - c).abs()
    assert (ramp.outer(ramp).min(), ramp.outer(ramp).max()) == (pytest.approx(0.00390625), pytest.approx(0.87890625))
    drn.network.up.weight.copy_(ramp.outer(ramp).expand_as(drn.network.up.weight))
    image = torch.rand(1, 3, 41, 50) * 2 - 1
    raw, full = drn.network(drn.normalise(image)), drn(image)
    assert raw.shape == (1, 19, 6, 7) and full.shape == (1, 19, 41, 50)
    bilinear = nn.functional.interpolate(raw, scale_factor=8, mode="bilinear")[..., :41, :50]
    assert torch.allclose(full[..., 4:, 4:], bilinear[..., 4:, 4:], atol=1e-4)  # the same inside the rim


def test_upernet_sizes_and_pooling_order(upernet):
    seen = []
    hooks = [c.register_forward_hook(lambda m, i, o: seen.append(i[0].shape)) for c in upernet.network.decoder.ppm_conv]
    raw = upernet.network(torch.randn(1, 3, 64, 96))
    for hook in hooks:
        hook.remove()
    assert seen == [(1, 2048, 2, 3)] * 4  # enlarged to the top map's size before the 1x1 convolution
    assert raw.shape == (1, 150, 16, 24)
    assert torch.allclose(raw.exp().sum(1), torch.ones(()), atol=1e-5)
    image = torch.rand(1, 3, 50, 70) * 2 - 1
    full, raw = upernet(image), upernet.network(upernet.normalise(image))
    # the logits are enlarged, not the log-probabilities: the two differ by one number for each pixel
    enlarged = nn.functional.interpolate(raw, size=(50, 70), mode="bilinear")
    assert torch.allclose(full.softmax(1), enlarged.softmax(1), atol=1e-5)
    assert not torch.allclose(full, enlarged)


def test_upernets_logits_come_to_the_labels_size_in_one_step(upernet):
    """Not by way of the size that was fed, which is rounded up to multiples of 32."""
    image = torch.rand(1, 3, 40, 40) * 2 - 1
    raw = upernet.network.decoder(upernet.network.encoder(upernet.normalise(_fed(image, (64, 64)))))
    once = nn.functional.interpolate(raw, size=(50, 60), mode="bilinear")
    twice = nn.functional.interpolate(upernet(_fed(image, (64, 64))), size=(50, 60), mode="bilinear")
    scores = protocol("paper", "ade20k").look(upernet, image, (50, 60))
    assert torch.allclose(scores, once, atol=1e-5) and not torch.allclose(scores, twice, atol=1e-5)


def _fed(image, size):
    return nn.functional.interpolate(image, size=size, mode="bilinear", antialias=True).clamp(-1, 1)


def test_the_older_upernet_is_the_same_network_with_another_input():
    states = [published_state(table) for table in TABLES["upernet101"]]
    older = load_segmenter("upernet101-baseline", states)
    assert (
        type(older.network) is BaselineUPerNet
        and older.network.state_dict().keys() == on_meta(UPerNet).state_dict().keys()
    )
    image = torch.tensor([1.0, 0.0, -1.0]).view(1, 3, 1, 1)  # red 255, green 127.5, blue 0
    expected = torch.tensor([0 - 102.9801, 127.5 - 115.9465, 255 - 122.7717])  # blue first, no division
    assert torch.allclose(older.normalise(image).flatten(), expected, atol=1e-4)
    folders = {CATALOGUE[f"{name}_encoder"].file for name in ("upernet101", "upernet101-baseline")}
    assert folders == {
        "ade20k-resnet101-upernet/encoder_epoch_50.pth",
        "baseline-resnet101-upernet/encoder_epoch_50.pth",
    }


@pytest.mark.parametrize("size,logits", [((97, 129), (13, 17)), ((64, 128), (9, 17))])
def test_deeplab_sizes(deeplab, size, logits):
    # ceil-mode pooling; of the base alone, for the smaller copies add nothing to the size
    assert deeplab.network.base(torch.randn(1, 3, *size)).shape == (1, 182, *logits)


def test_deeplab_takes_the_maximum_over_scales(deeplab):
    x = torch.randn(1, 3, 65, 65)
    logits, base = deeplab.network(x), deeplab.network.base(x)
    assert logits.shape == base.shape and (logits >= base).all() and (logits > base).any()


def test_normalisation(drn, upernet, deeplab):
    image = torch.tensor([1.0, 0.0, -1.0]).view(1, 3, 1, 1)  # red 1, green 0.5, blue 0 in [0, 1]
    expected = (torch.tensor([1, 0.5, 0]) - torch.tensor([0.485, 0.456, 0.406])) / torch.tensor([0.229, 0.224, 0.225])
    assert torch.allclose(upernet.normalise(image).flatten(), expected)
    expected = torch.tensor([(1 - 0.29010095) / 0.18295405, (0.5 - 0.32808144) / 0.18656561, -0.28696394 / 0.18447509])
    assert torch.allclose(drn.normalise(image).flatten(), expected)
    expected = torch.tensor([0 - 104.008, 127.5 - 116.669, 255 - 122.675])  # blue first, 0 to 255, no division
    assert torch.allclose(deeplab.normalise(image).flatten(), expected, atol=1e-4)


def test_mistakes_give_one_line(tmp_path, monkeypatch):
    monkeypatch.setenv("SPADE_EDU_WEIGHTS", str(tmp_path))
    with pytest.raises(UserError, match="drn-cityscapes-models.*put it at.*drn-d-105_ms_cityscapes.pth"):
        load_segmenter("drn_d_105")
    with pytest.raises(UserError, match="no segmenter 'fcn'"):
        load_segmenter("fcn")
    with pytest.raises(UserError, match="pair"):
        load_segmenter("upernet101", {"conv1.weight": torch.zeros(1)})
    with pytest.raises(UserError, match="one file"):
        load_segmenter("drn_d_105", ({}, {}))
    (tmp_path / "drn-d-105_ms_cityscapes.pth").write_bytes(b"<html>")
    with pytest.raises(UserError, match="cut off"):
        load_segmenter("drn_d_105")
    torch.save([1], tmp_path / "drn-d-105_ms_cityscapes.pth")
    with pytest.raises(UserError, match="state dict"):
        load_segmenter("drn_d_105", tmp_path / "drn-d-105_ms_cityscapes.pth")


class Payload:
    """A pickle that would make a file when loaded."""

    def __init__(self, path):
        self.path = path

    def __reduce__(self):
        return (open, (str(self.path), "w"))


def test_weights_with_code_in_them_are_refused_and_not_run(tmp_path):
    torch.save({"weight": Payload(tmp_path / "touched")}, tmp_path / "drn.pth")
    with pytest.raises(UserError, match="is not a file of PyTorch weights"):
        load_segmenter("drn_d_105", tmp_path / "drn.pth")
    assert not (tmp_path / "touched").exists()


def test_a_file_is_verified_where_a_hash_was_published(tmp_path):
    file = tmp_path / "x.pth"
    file.write_bytes(b"other")
    assert CATALOGUE["inception"].verify(file) is False and CATALOGUE["drn_d_105"].verify(file) is False
    assert CATALOGUE["upernet101_encoder"].verify(file) is None


def test_download_is_verified(tmp_path, monkeypatch):
    (tmp_path / "server").mkdir()
    (tmp_path / "server" / "file.pth").write_bytes(b"weights")
    handler = partial(SimpleHTTPRequestHandler, directory=tmp_path / "server")
    monkeypatch.setattr(SimpleHTTPRequestHandler, "log_message", lambda *_: None)
    monkeypatch.setenv("SPADE_EDU_WEIGHTS", str(tmp_path / "cache"))
    digest = hashlib.sha256(b"weights").hexdigest()
    with ThreadingHTTPServer(("127.0.0.1", 0), handler) as server:
        Thread(target=server.serve_forever, daemon=True).start()
        url = f"http://127.0.0.1:{server.server_port}/file.pth"
        entry = Weights("sub/file.pth", "a test", "a page", url, sha256=digest[:8])
        assert fetch(entry, loopback=True).read_bytes() == b"weights" and entry.verify(entry.path) is True
        other = Weights("other.pth", "a test", "a page", url, sha256="00000000")
        with pytest.raises(UserError, match="another file than was published"):
            fetch(other, loopback=True)
        assert not other.path.exists()
        server.shutdown()
    with pytest.raises(UserError, match="not encrypted"):
        fetch(Weights("third.pth", "a test", "a page", "http://example.com/third.pth"))
