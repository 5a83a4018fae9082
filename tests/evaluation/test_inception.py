from dataclasses import replace

import published
import pytest
import torch
import torchvision
from torch.nn import functional as F
from torchvision.models.inception import InceptionA, InceptionC, InceptionE

from spade_edu.errors import UserError
from spade_edu.evaluation import inception
from spade_edu.evaluation.inception import FID_NETWORKS
from spade_edu.pretrained.weights import CATALOGUE

MISSING = replace(CATALOGUE["inception_torchvision"], file="/nowhere/inception_v3_google-0cc3c7bd.pth")


def average_without_padding(x, branch):
    return branch(F.avg_pool2d(x, 3, stride=1, padding=1, count_include_pad=False))


class PatchedA(InceptionA):
    def forward(self, x):
        parts = self._forward(x)
        return torch.cat([*parts[:3], average_without_padding(x, self.branch_pool)], 1)


class PatchedC(InceptionC):
    def forward(self, x):
        parts = self._forward(x)
        return torch.cat([*parts[:3], average_without_padding(x, self.branch_pool)], 1)


class PatchedE(InceptionE):
    def forward(self, x):
        parts = self._forward(x)
        return torch.cat([*parts[:3], average_without_padding(x, self.branch_pool)], 1)


class PatchedLastE(InceptionE):
    def forward(self, x):
        parts = self._forward(x)
        return torch.cat([*parts[:3], self.branch_pool(F.max_pool2d(x, 3, stride=1, padding=1))], 1)


@pytest.fixture(scope="module")
def published_kind():
    """torchvision's Inception-v3 with the four differences of the published FID network, random weights."""
    torch.manual_seed(1)
    network = torchvision.models.inception_v3(num_classes=1008, aux_logits=False, init_weights=False)
    for name, kind in dict.fromkeys(("Mixed_5b", "Mixed_5c", "Mixed_5d"), PatchedA).items():
        getattr(network, name).__class__ = kind
    for name, kind in dict.fromkeys(("Mixed_6b", "Mixed_6c", "Mixed_6d", "Mixed_6e"), PatchedC).items():
        getattr(network, name).__class__ = kind
    network.Mixed_7b.__class__, network.Mixed_7c.__class__ = PatchedE, PatchedLastE
    network.fc = torch.nn.Linear(2048, 1008)
    return network.eval()


def reference_features(network, images):
    x = F.interpolate(images, size=(299, 299), mode="bilinear", align_corners=False) * 2 - 1
    network.fc, fc = torch.nn.Identity(), network.fc
    with torch.no_grad():
        features = network(x)
    network.fc = fc
    return features


def test_equals_the_patched_torchvision_network(published_kind):
    ours = inception(published_kind.state_dict())
    images = torch.rand(2, 3, 32, 64)
    features, expected = ours(images), reference_features(published_kind, images)
    assert features.shape == (2, 2048)
    spread = expected.std()
    assert (features - expected).abs().max() < 1e-4 * spread
    assert not any(p.requires_grad for p in ours.parameters()) and not ours.training


def test_names_of_the_published_file(published_kind):
    shapes = published.shapes("evaluator_names", "fid_inception_weights_file")
    assert {k: list(v.shape) for k, v in published_kind.state_dict().items()} == shapes
    network = inception({name: torch.tensor(0.5).expand(shape) for name, shape in shapes.items()})
    assert sum(p.numel() for p in network.parameters()) == 21_785_568


def test_missing_or_other_weights(tmp_path, monkeypatch, published_kind):
    monkeypatch.setenv("SPADE_EDU_WEIGHTS", str(tmp_path))
    with pytest.raises(UserError, match="pytorch-fid.*put it at.*pt_inception-2015-12-05-6726825d.pth"):
        inception()
    state = dict(published_kind.state_dict())
    del state["Mixed_7c.branch_pool.conv.weight"]
    with pytest.raises(UserError, match="not the weights of the FID Inception.*Mixed_7c.branch_pool"):
        inception(state)


@pytest.fixture(scope="module")
def of_torchvision():
    """torchvision's Inception-v3 as its published file has it (with the auxiliary head), random weights."""
    torch.manual_seed(2)
    return torchvision.models.inception_v3(aux_logits=True, init_weights=False).eval()


def test_the_older_network_is_torchvisions_own(of_torchvision):
    ours = inception(of_torchvision.state_dict(), "torchvision-2019")
    images = torch.rand(2, 3, 32, 64)
    features, expected = ours(images), reference_features(of_torchvision, images)
    assert (features - expected).abs().max() < 1e-4 * expected.std()
    todays = inception({n: v for n, v in of_torchvision.state_dict().items() if not n.startswith("AuxLogits")})
    assert (todays(images) - expected).abs().max() > 0.05 * expected.std(), "another pooling: other features"


def test_before_february_2019_the_input_was_scaled_by_imagenets_numbers(of_torchvision):
    images = torch.rand(2, 3, 32, 64)
    x = F.interpolate(images, size=(299, 299), mode="bilinear", align_corners=False)
    channels = [
        x[:, i] * (s / 0.5) + (m - 0.5) / 0.5
        for i, (s, m) in enumerate([(0.229, 0.485), (0.224, 0.456), (0.225, 0.406)])
    ]
    older = inception(of_torchvision.state_dict(), "torchvision-2018")
    seen = []
    older.layers.register_forward_pre_hook(lambda module, inputs: seen.append(inputs[0]))
    older(images)
    assert torch.allclose(seen[0], torch.stack(channels, 1), atol=1e-6)


def test_no_two_networks_share_a_name(monkeypatch):
    for names in zip(*(network[1:] for network in FID_NETWORKS.values())):
        assert len(set(names)) == len(FID_NETWORKS)
    with pytest.raises(UserError, match="--fid-network is one of pytorch-fid, torchvision-2018.*not 'tf'"):
        inception(network="tf")
    monkeypatch.setitem(CATALOGUE, "inception_torchvision", MISSING)
    with pytest.raises(UserError, match="weights missing: run `spade-edu weights --download`.*inception_v3_google"):
        inception(network="torchvision-2019")
