"""Original `.pth` files: written here by the original repository's names, read back as the same network."""

from __future__ import annotations

import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from depth3d.errors import CheckpointError, InputError
from depth3d.estimate.checkpoints import load_checkpoint
from depth3d.estimate.estimator import DepthEstimator
from depth3d.estimate.original_layout import named_max_depth_m


def original_state(network: Any) -> dict[str, torch.Tensor]:
    """Write a network's weights as the original code would have saved them."""
    ours = network.state_dict()
    state: dict[str, torch.Tensor] = {
        "pretrained.cls_token": ours["backbone.embeddings.cls_token"],
        "pretrained.pos_embed": ours["backbone.embeddings.position_embeddings"],
        "pretrained.mask_token": ours["backbone.embeddings.mask_token"],
    }

    def copy(new: str, old: str, leaves: tuple[str, ...] = ("weight", "bias")) -> None:
        for leaf in leaves:
            state[f"{new}.{leaf}"] = ours[f"{old}.{leaf}"]

    copy("pretrained.patch_embed.proj", "backbone.embeddings.patch_embeddings.projection")
    copy("pretrained.norm", "backbone.layernorm")
    for i in range(network.config.backbone_config.num_hidden_layers):
        new, old = f"pretrained.blocks.{i}", f"backbone.encoder.layer.{i}"
        for part in ("norm1", "norm2", "mlp.fc1", "mlp.fc2"):
            copy(f"{new}.{part}", f"{old}.{part}")
        copy(f"{new}.attn.proj", f"{old}.attention.o_proj")
        for leaf in ("weight", "bias"):
            fused = [ours[f"{old}.attention.{x}_proj.{leaf}"] for x in "qkv"]
            state[f"{new}.attn.qkv.{leaf}"] = torch.cat(fused)
        for n in (1, 2):
            state[f"{new}.ls{n}.gamma"] = ours[f"{old}.layer_scale{n}.lambda1"]
    for i in range(4):
        copy(f"depth_head.projects.{i}", f"neck.reassemble_stage.layers.{i}.projection")
        if i != 2:  # the third is an identity
            copy(f"depth_head.resize_layers.{i}", f"neck.reassemble_stage.layers.{i}.resize")
        copy(f"depth_head.scratch.layer{i + 1}_rn", f"neck.convs.{i}", ("weight",))
        new, old = f"depth_head.scratch.refinenet{4 - i}", f"neck.fusion_stage.layers.{i}"
        copy(f"{new}.out_conv", f"{old}.projection")
        for unit in (1, 2):
            for conv in (1, 2):
                copy(f"{new}.resConfUnit{unit}.conv{conv}", f"{old}.residual_layer{unit}.convolution{conv}")
    copy("depth_head.scratch.output_conv1", "head.conv1")
    copy("depth_head.scratch.output_conv2.0", "head.conv2")
    copy("depth_head.scratch.output_conv2.2", "head.conv3")
    assert len(state) == len(ours) - 4 * network.config.backbone_config.num_hidden_layers
    return {key: tensor.clone() for key, tensor in state.items()}


def _same_output(a: Any, b: Any) -> None:
    pixels = torch.randn(1, 3, 84, 70, generator=torch.Generator().manual_seed(1))
    with torch.inference_mode():
        first, second = a(pixels).predicted_depth, b(pixels).predicted_depth
    assert float(first.std()) > 0.01
    torch.testing.assert_close(first, second, rtol=0, atol=1e-5 * float(second.max() - second.min()))


@pytest.mark.parametrize("suffix", [".pth", ".pt", ".safetensors"])
@pytest.mark.parametrize("wrapping", ["plain", "model", "state_dict", "module"])
def test_a_relative_file_is_the_same_network(
    tmp_path: Path, tiny_network: Callable[..., Any], suffix: str, wrapping: str
) -> None:
    network = tiny_network()
    state: Any = original_state(network)
    if wrapping == "module":  # what DataParallel leaves
        state = {f"module.{key}": tensor for key, tensor in state.items()}
    elif wrapping != "plain" and suffix != ".safetensors":
        state = {wrapping: state, "epoch": 3}
    path = tmp_path / f"depth_anything_v2_vits{suffix}"
    if suffix == ".safetensors":
        from safetensors.torch import save_file

        save_file(state, path)
    else:
        torch.save(state, path)
    loaded = load_checkpoint(path)
    assert str(loaded.meaning.kind) == "relative"
    _same_output(loaded.network, network)


@pytest.mark.parametrize(
    ("name", "given", "max_depth_m"),
    [
        ("depth_anything_v2_metric_hypersim_vits.pth", None, 20),
        ("depth_anything_v2_metric_vkitti_vits.pth", None, 80),
        ("depth_anything_v2_metric_vkitti_vits.pth", 80, 80),
        ("latest.pth", 12.5, 12.5),  # a range of one's own, and no whole number
    ],
)
def test_a_metric_file_knows_its_range(
    tmp_path: Path,
    tiny_network: Callable[..., Any],
    photo: Callable[..., np.ndarray],
    name: str,
    given: float | None,
    max_depth_m: float,
) -> None:
    network = tiny_network(kind="metric", max_depth=1)
    torch.save(original_state(network), tmp_path / name)
    estimator = DepthEstimator.from_pretrained(
        tmp_path / name, max_depth_m=given, device="cpu", dtype="float32", input_size=70
    )
    image = photo(70, 70)
    depth = estimator(image)
    assert depth.is_metric
    assert estimator.name == Path(name).stem
    from depth3d.estimate.preprocess import to_network

    with torch.inference_mode():
        pixels = to_network(image, estimator._rule, (70, 70), torch.device("cpu"))
        share = network(pixels).predicted_depth[0].numpy()
    assert 0 < share.min() < share.max() < 1
    np.testing.assert_allclose(depth.values, max_depth_m * share, rtol=1e-5)


def test_half_precision_files_become_float32(tmp_path: Path, tiny_network: Callable[..., Any]) -> None:
    state = {key: tensor.half() for key, tensor in original_state(tiny_network()).items()}
    torch.save(state, tmp_path / "vits.pth")
    network = load_checkpoint(tmp_path / "vits.pth").network
    assert {parameter.dtype for parameter in network.parameters()} == {torch.float32}


def test_the_published_sizes_are_recognised() -> None:
    """Shapes of ViT-S, ViT-B and ViT-L, without their numbers."""
    from depth3d.estimate.original_layout import architecture_of

    rows = (  # width, blocks, decoder channels, decoder width: the original repository's table
        (384, 12, [48, 96, 192, 384], 64, [3, 6, 9, 12], 6),
        (768, 12, [96, 192, 384, 768], 128, [3, 6, 9, 12], 12),
        (1024, 24, [256, 512, 1024, 1024], 256, [5, 12, 18, 24], 16),
    )
    for hidden, blocks, necks, fusion, hooks, heads in rows:
        with torch.device("meta"):
            state = {
                "pretrained.patch_embed.proj.weight": torch.empty(hidden, 3, 14, 14),
                "pretrained.pos_embed": torch.empty(1, 1370, hidden),
                "depth_head.scratch.layer1_rn.weight": torch.empty(fusion, necks[0], 3, 3),
                "depth_head.scratch.output_conv2.0.weight": torch.empty(32, fusion // 2, 3, 3),
            }
            for i in range(blocks):
                state[f"pretrained.blocks.{i}.mlp.fc1.weight"] = torch.empty(4 * hidden, hidden)
            for i, neck in enumerate(necks):
                state[f"depth_head.projects.{i}.weight"] = torch.empty(neck, hidden, 1, 1)
        config = architecture_of(state, name="x")
        backbone = config["backbone_config"]
        assert (backbone["hidden_size"], backbone["num_attention_heads"]) == (hidden, heads)
        assert (backbone["image_size"], backbone["out_indices"]) == (518, hooks)
        assert (config["neck_hidden_sizes"], config["fusion_hidden_size"]) == (necks, fusion)


@pytest.mark.parametrize(
    ("name", "expected"),
    [
        ("depth_anything_v2_vits.pth", None),
        ("depth_anything_v2_metric_hypersim_vitl.pth", 20),
        ("depth_anything_v2_metric_vkitti_vitb.pth", 80),
        ("Depth-Anything-V2-Metric-Outdoor-Small.safetensors", 80),
    ],
)
def test_names_tell_the_range(name: str, expected: float | None) -> None:
    assert named_max_depth_m(name) == expected


def test_a_metric_name_without_a_range_asks_for_it(tmp_path: Path, tiny_network: Callable[..., Any]) -> None:
    path = tmp_path / "depth_anything_v2_metric_vits.pth"
    torch.save(original_state(tiny_network(kind="metric")), path)
    with pytest.raises(CheckpointError, match=r"put hypersim \(20 m\) or vkitti \(80 m\) into its name"):
        load_checkpoint(path)
    assert load_checkpoint(path, max_depth_m=20).meaning.max_depth_m == 20


def test_a_contradiction_is_refused(tmp_path: Path, tiny_network: Callable[..., Any]) -> None:
    path = tmp_path / "depth_anything_v2_metric_hypersim_vits.pth"
    torch.save(original_state(tiny_network(kind="metric")), path)
    with pytest.raises(InputError, match=r"80 contradicts .* 20 m; leave it out"):
        load_checkpoint(path, max_depth_m=80)


@pytest.mark.parametrize(
    ("change", "sentence"),
    [
        ("drop", "1 missing, such as backbone.encoder.layer.2.norm1.weight"),
        ("add", "1 that don't fit, such as pretrained.blocks.2.extra"),
        ("reshape", "1 that don't fit, such as backbone.encoder.layer.2.norm1.weight"),
        ("no neck", "no Depth Anything V2 of size S, B or L"),
        ("blocks", "9 blocks"),
    ],
)
def test_tensors_that_do_not_fit(
    tmp_path: Path, tiny_network: Callable[..., Any], change: str, sentence: str
) -> None:
    state = original_state(tiny_network())
    key = "pretrained.blocks.2.norm1.weight"
    if change == "drop":
        del state[key]
    elif change == "add":
        state["pretrained.blocks.2.extra"] = torch.zeros(1)
    elif change == "reshape":
        state[key] = torch.zeros(9)
    elif change == "no neck":
        state = {k: v for k, v in state.items() if "projects" not in k}
    else:
        state["pretrained.blocks.8.norm1.weight"] = torch.zeros(8)
    torch.save(state, tmp_path / "vits.pth")
    with pytest.raises(CheckpointError, match=re.escape(sentence)):
        load_checkpoint(tmp_path / "vits.pth")
