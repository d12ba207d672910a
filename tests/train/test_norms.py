"""Normalisation that is there for training, and gone without a trace afterwards."""

import copy

import pytest
import torch
from torch import nn

from depth3d.estimate.mini import MiniDepth
from depth3d.train.norms import add_norms, fold_norms


def _lively(network: nn.Module) -> nn.Module:
    """Give the normalisations statistics and gains of their own."""
    draw = torch.Generator().manual_seed(0)
    for module in network.modules():
        if isinstance(module, nn.BatchNorm2d):
            size = module.num_features
            module.running_mean.copy_(torch.randn(size, generator=draw))
            module.running_var.copy_(0.5 + torch.rand(size, generator=draw))
            with torch.no_grad():
                module.weight.copy_(0.5 + torch.rand(size, generator=draw))
                module.bias.copy_(torch.randn(size, generator=draw))
    return network


@pytest.fixture
def mini() -> MiniDepth:
    torch.manual_seed(1)
    network = MiniDepth()
    add_norms(network, without=[network.encoder, network.disparity])
    return _lively(network).eval()  # type: ignore[return-value]


def test_folding_changes_nothing_that_comes_out(mini: MiniDepth) -> None:
    pixels = torch.randn(1, 3, 64, 96, generator=torch.Generator().manual_seed(2))
    folded = copy.deepcopy(mini)
    fold_norms(folded)
    with torch.inference_mode():
        before, after = (net(pixel_values=pixels).predicted_depth for net in (mini, folded))
    assert float(before.std()) > 1e-2
    torch.testing.assert_close(after, before, rtol=1e-4, atol=1e-5)


def test_a_folded_network_has_the_weights_of_a_plain_one(mini: MiniDepth) -> None:
    fold_norms(mini)
    plain = MiniDepth().state_dict()
    assert {name: value.shape for name, value in mini.state_dict().items()} == {
        name: value.shape for name, value in plain.items()
    }


def test_parts_are_left_out(mini: MiniDepth) -> None:
    assert not any(isinstance(part, nn.BatchNorm2d) for part in mini.encoder.modules())
    assert isinstance(mini.disparity, nn.Conv2d)
    # gather, spread and edges, and four convolutions at each of the four resolutions
    assert sum(isinstance(part, nn.BatchNorm2d) for part in mini.modules()) == 3 + 4 * 4


def test_normed_features_have_no_scale() -> None:
    torch.manual_seed(3)
    network = nn.Sequential(nn.Conv2d(3, 8, 3), nn.ReLU(), nn.Conv2d(8, 4, 3))
    add_norms(network)
    network.train()
    out = network(1000 * torch.randn(4, 3, 16, 16) + 50)
    torch.testing.assert_close(out.mean((0, 2, 3)), torch.zeros(4), atol=1e-5, rtol=0)
    torch.testing.assert_close(out.std((0, 2, 3), correction=0), torch.ones(4), atol=1e-4, rtol=0)
