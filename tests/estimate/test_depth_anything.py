"""`DepthAnything` is the network of `transformers`, number for number, in another form."""

from __future__ import annotations

import json
import subprocess
import sys
from collections import OrderedDict
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch

from depth3d.errors import CheckpointError
from depth3d.estimate.checkpoints import load_checkpoint
from depth3d.estimate.depth_anything import DepthAnything
from depth3d.estimate.depth_anything_weights import architecture_from_config, build_depth_anything

Factory = Callable[..., Any]

SMALL = {
    "model_type": "depth_anything",
    "backbone_config": {
        "model_type": "dinov2",
        "hidden_size": 384,
        "num_attention_heads": 6,
        "image_size": 518,
        "out_features": ["stage3", "stage6", "stage9", "stage12"],
        "out_indices": [3, 6, 9, 12],
        "patch_size": 14,
        "reshape_hidden_states": False,
    },
    "fusion_hidden_size": 64,
    "head_hidden_size": 32,
    "neck_hidden_sizes": [48, 96, 192, 384],
    "reassemble_factors": [4, 2, 1, 0.5],
    "reassemble_hidden_size": 384,
}
"""The settings of Depth Anything V2 Small as its repository states them."""


def _of_size(hidden: int, heads: int, blocks: int, hooks: list[int], necks: list[int], fusion: int) -> Any:
    backbone = SMALL["backbone_config"] | {
        "hidden_size": hidden,
        "num_attention_heads": heads,
        "num_hidden_layers": blocks,
        "out_indices": hooks,
        "out_features": [f"stage{i}" for i in hooks],
    }
    return SMALL | {
        "backbone_config": backbone,
        "neck_hidden_sizes": necks,
        "fusion_hidden_size": fusion,
        "reassemble_hidden_size": hidden,
    }


BASE = _of_size(768, 12, 12, [3, 6, 9, 12], [96, 192, 384, 768], 128)
LARGE = _of_size(1024, 16, 24, [5, 12, 18, 24], [256, 512, 1024, 1024], 256)


@pytest.fixture
def scaled_network(tiny_network: Factory) -> Factory:
    """A tiny network whose LayerScale matters."""

    def make(**options: Any) -> Any:
        network = tiny_network(**options)
        draw = torch.Generator().manual_seed(7)
        with torch.no_grad():
            for name, weight in network.named_parameters():
                if name.endswith("lambda1"):
                    weight.copy_(0.5 + torch.rand(weight.shape, generator=draw))
        return network

    return make


def _own(network: Any) -> DepthAnything:
    sizes = architecture_from_config(json.loads(network.config.to_json_string()))
    assert sizes is not None
    own, *wrong = build_depth_anything(sizes, network.state_dict())
    assert wrong == [[], [], []]
    own.head.max_depth = network.config.max_depth
    return own.eval()


def _largest_share(ours: torch.Tensor, theirs: torch.Tensor) -> float:
    span = float(theirs.max() - theirs.min())
    assert span > 0.01
    return float((ours - theirs).abs().max()) / span


@pytest.mark.parametrize("size", [(70, 70), (84, 70), (28, 196), (14, 42), (75, 99)])
@pytest.mark.parametrize(("hidden", "kind", "max_depth"), [(8, "relative", 1), (128, "metric", 80)])
def test_it_gives_what_transformers_gives(
    scaled_network: Factory, size: tuple[int, int], hidden: int, kind: str, max_depth: int
) -> None:
    network = scaled_network(hidden=hidden, kind=kind, max_depth=max_depth)
    pixels = torch.randn(2, 3, *size, generator=torch.Generator().manual_seed(3))
    with torch.inference_mode():
        theirs = network(pixels).predicted_depth
        ours = _own(network)(pixel_values=pixels).predicted_depth
    assert ours.shape == theirs.shape
    assert _largest_share(ours, theirs) <= 1e-5


def test_channels_last_in_memory_is_the_same(scaled_network: Factory) -> None:
    own = _own(scaled_network())
    pixels = torch.randn(1, 3, 56, 84, generator=torch.Generator().manual_seed(3))
    with torch.inference_mode():
        plain = own(pixels).predicted_depth
        own.to(memory_format=torch.channels_last)
        last = own(pixels.contiguous(memory_format=torch.channels_last)).predicted_depth
    assert _largest_share(last, plain) <= 1e-5


@pytest.mark.parametrize("config", [SMALL, BASE, LARGE])
def test_the_published_sizes(config: Any) -> None:
    """All weights have their place, but those that never reach the output or are folded away."""
    from transformers.models.depth_anything import DepthAnythingConfig, DepthAnythingForDepthEstimation

    sizes = architecture_from_config(config)
    assert sizes is not None
    with torch.device("meta"):
        ours = DepthAnything(sizes)
        theirs = DepthAnythingForDepthEstimation(
            DepthAnythingConfig(**{k: v for k, v in config.items() if k != "model_type"})
        )
    spare = ("mask_token", "lambda1", "fusion_stage.layers.0.residual_layer1")
    kept = sum(p.numel() for n, p in theirs.named_parameters() if not any(word in n for word in spare))
    assert sum(p.numel() for p in ours.parameters()) == kept
    _, missing, misshapen, unknown = build_depth_anything(sizes, theirs.state_dict())
    assert (missing, misshapen, unknown) == ([], [], [])


def test_files_that_transformers_wrote(scaled_network: Factory, tmp_path: Path) -> None:
    """It writes the attention under other names than those of its own network."""
    network = scaled_network()
    network.save_pretrained(tmp_path)
    loaded = load_checkpoint(tmp_path)
    assert isinstance(loaded.network, DepthAnything)
    pixels = torch.randn(1, 3, 42, 98, generator=torch.Generator().manual_seed(5))
    with torch.inference_mode():
        assert _largest_share(loaded.network(pixels).predicted_depth, network(pixels).predicted_depth) <= 1e-5
    assert not any(weight.requires_grad for weight in loaded.network.parameters())
    trainable = load_checkpoint(tmp_path, trainable=True).network
    assert type(trainable).__name__ == "DepthAnythingForDepthEstimation"


def test_transformers_stays_out(tiny_folder: Path) -> None:
    code = (
        "import sys, numpy as np\n"
        "from depth3d.estimate.estimator import DepthEstimator\n"
        f"estimator = DepthEstimator.from_pretrained({str(tiny_folder)!r}, device='cpu')\n"
        "assert estimator(np.zeros((60, 80, 3), np.uint8)).size_wh == (80, 60)\n"
        "assert 'transformers' not in sys.modules, 'it was imported'\n"
    )
    subprocess.run([sys.executable, "-c", code], check=True)


@pytest.mark.parametrize(
    "change",
    [
        {"backbone_config": None},
        {"backbone_config": SMALL["backbone_config"] | {"model_type": "dinov3_vit"}},
        {"backbone_config": SMALL["backbone_config"] | {"use_swiglu_ffn": True}},
        {"backbone_config": SMALL["backbone_config"] | {"qkv_bias": False}},
        {"backbone_config": SMALL["backbone_config"] | {"out_indices": [1, 2, 3, 4]}},
        {"backbone_config": SMALL["backbone_config"] | {"num_attention_heads": 7}},
        {"backbone_config": SMALL["backbone_config"] | {"image_size": [518, 518]}},
        {"reassemble_factors": [4, 2, 1, 1]},
        {"neck_hidden_sizes": "many"},
        {"neck_hidden_sizes": [48, 96, 192]},
        {"fusion_hidden_size": 64.5},
        {"quantization_config": {}},
    ],
)
def test_what_it_does_not_do_is_left_to_transformers(change: dict[str, Any]) -> None:
    assert architecture_from_config(SMALL) is not None
    assert architecture_from_config(SMALL | change) is None


@pytest.mark.parametrize("blocks", ["out_indices", "out_features"])
def test_either_name_of_the_blocks_is_enough(blocks: str) -> None:
    backbone = {key: value for key, value in SMALL["backbone_config"].items() if key != blocks}
    assert architecture_from_config(SMALL | {"backbone_config": backbone}) == architecture_from_config(SMALL)


def test_unusual_settings_still_run(scaled_network: Factory, tmp_path: Path) -> None:
    scaled_network().save_pretrained(tmp_path)
    path = tmp_path / "config.json"
    config = json.loads(path.read_text())
    config["backbone_config"]["hidden_act"] = "relu"
    path.write_text(json.dumps(config))
    assert not isinstance(load_checkpoint(tmp_path).network, DepthAnything)


def test_tensors_of_another_shape_are_named(scaled_network: Factory, tmp_path: Path) -> None:
    from safetensors.torch import load_file, save_file

    scaled_network().save_pretrained(tmp_path)
    tensors = load_file(tmp_path / "model.safetensors")
    tensors["head.conv1.bias"] = torch.zeros(5)
    del tensors["backbone.encoder.layer.1.layer_scale2.lambda1"]
    save_file(tensors, tmp_path / "model.safetensors", {"format": "pt"})
    with pytest.raises(CheckpointError, match=r"1 missing, such as .*layer_scale2.* fit, such as head.conv1"):
        load_checkpoint(tmp_path)


def test_few_position_embeddings_are_remembered(scaled_network: Factory) -> None:
    own = _own(scaled_network())
    with torch.inference_mode():
        first = own(torch.ones(1, 3, 28, 28)).predicted_depth
        for width in range(14, 14 * 30, 14):
            own(torch.ones(1, 3, 14, width))
        assert torch.equal(own(torch.ones(1, 3, 28, 28)).predicted_depth, first)
    assert len(own._positions) == 16
    own.to(torch.float64)  # what was remembered in another format is not used
    assert own(torch.ones(1, 3, 14, 14, dtype=torch.float64)).predicted_depth.dtype is torch.float64


class _Plain(torch.nn.Module):
    """Tensor in, tensor out, which is what graphs are made of."""

    def __init__(self, network: DepthAnything) -> None:
        super().__init__()
        self.network = network

    def forward(self, pixels: torch.Tensor) -> torch.Tensor:
        return self.network(pixels).predicted_depth


def test_a_graph_of_it_takes_any_size(scaled_network: Factory) -> None:
    """No size is baked in: what was recorded at one size is right at another."""
    own = _own(scaled_network())
    n, rows, columns = (torch.export.Dim(name, min=3, max=64) for name in ("n", "rows", "columns"))
    with torch.no_grad():
        own(torch.zeros(3, 3, 70, 42))  # what is remembered does not get into the graph
        shapes = ({0: n, 2: 14 * rows, 3: 14 * columns},)
        graph = torch.export.export(_Plain(own), (torch.zeros(3, 3, 70, 42),), dynamic_shapes=shapes).module()
        for size in ((3, 3, 42, 112), (4, 3, 70, 70)):
            pixels = torch.randn(*size, generator=torch.Generator().manual_seed(1))
            assert _largest_share(graph(pixels), own(pixels).predicted_depth) <= 1e-5


class _Shared(OrderedDict[Any, torch.Tensor]):
    """What is remembered, which another thread forgets after each look."""

    def __contains__(self, key: object) -> bool:
        found = super().__contains__(key)
        self.clear()
        return found

    def get(self, key: Any, default: Any = None) -> Any:
        found = super().get(key, default)
        self.clear()
        return found


def test_threads_may_forget_each_others_sizes(scaled_network: Factory) -> None:
    """Calls in float32 run at the same time on the processor."""
    own = _own(scaled_network())
    own._positions = _Shared()
    first = own._positions_for(3, 4)
    assert own._positions_for(3, 4) is first
    assert torch.equal(own._positions_for(3, 4), first)
