"""The original repository's Depth Anything V2 files, read into the architecture of `transformers`.

Three things differ: the names, the attention's query, key and value in one matrix, and the refinement
stages, which the original counts from fine to coarse. The numbers are the same, with one exception at run
time: the original resizes its position embeddings by the factor (n + 0.1) / 37, `transformers` to exactly n
cells; at 518 x 518 both leave them alone, elsewhere maps differ by about 1e-3 of their range.

A relative and a metric file have the same names and shapes (the sigmoid and the factor are not stored), so
only the file's name or the caller can tell which one it is.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any

import torch

from depth3d.errors import CheckpointError

__all__ = ["architecture_of", "is_original_layout", "named_max_depth_m", "renamed"]

_RANGES_M = {"hypersim": 20.0, "vkitti": 80.0, "indoor": 20.0, "outdoor": 80.0}
"""Largest depth in metres by what the official file names say the network was trained on."""

_HOOKS = {12: (3, 6, 9, 12), 24: (5, 12, 18, 24)}
"""Number of blocks -> the blocks, counted from 1, whose outputs the decoder reads."""

_DIRECT = (
    (r"pretrained\.(cls_token|mask_token)", r"backbone.embeddings.\1"),
    (r"pretrained\.pos_embed", "backbone.embeddings.position_embeddings"),
    (r"pretrained\.patch_embed\.proj\.(\w+)", r"backbone.embeddings.patch_embeddings.projection.\1"),
    (r"pretrained\.norm\.(\w+)", r"backbone.layernorm.\1"),
    (r"pretrained\.blocks\.(\d+)\.(norm[12]|mlp\.fc[12])\.(\w+)", r"backbone.encoder.layer.\1.\2.\3"),
    (r"pretrained\.blocks\.(\d+)\.ls([12])\.gamma", r"backbone.encoder.layer.\1.layer_scale\2.lambda1"),
    (r"depth_head\.projects\.(\d)\.(\w+)", r"neck.reassemble_stage.layers.\1.projection.\2"),
    (r"depth_head\.resize_layers\.(\d)\.(\w+)", r"neck.reassemble_stage.layers.\1.resize.\2"),
    (r"depth_head\.scratch\.output_conv1\.(\w+)", r"head.conv1.\1"),
    (r"depth_head\.scratch\.output_conv2\.0\.(\w+)", r"head.conv2.\1"),
    (r"depth_head\.scratch\.output_conv2\.2\.(\w+)", r"head.conv3.\1"),
)

_SPELLINGS = (
    # This layer of `transformers` has been renamed; whichever spelling the installed version has is used.
    ("attention.q_proj", "attention.k_proj", "attention.v_proj", "attention.o_proj"),
    (
        "attention.attention.query",
        "attention.attention.key",
        "attention.attention.value",
        "attention.output.dense",
    ),
)


def is_original_layout(state: Mapping[str, Any]) -> bool:
    """Tell whether names are those of the original repository."""
    return any(name.startswith("pretrained.") for name in state) and any(
        name.startswith("depth_head.") for name in state
    )


def named_max_depth_m(file_name: str) -> float | None:
    """Read a metric network's range from its file's name.

    Args:
        file_name: Such as `depth_anything_v2_metric_hypersim_vits.pth`.

    Returns:
        20 or 80 metres; None if the name says `metric` nowhere.

    Raises:
        CheckpointError: It says `metric`, and not on what.
    """
    name = file_name.lower()
    found = {depth_m for word, depth_m in _RANGES_M.items() if word in name}
    if len(found) == 1:
        return found.pop()
    if "metric" in name or found:
        raise CheckpointError(
            f"{file_name} is a metric network whose range its name does not tell; "
            "put hypersim (20 m) or vkitti (80 m) into its name, or give max_depth_m"
        )
    return None


def architecture_of(state: Mapping[str, torch.Tensor], *, name: str) -> dict[str, Any]:
    """Read the sizes of the architecture from the shapes of its weights.

    Args:
        state: Tensors by their original names.
        name: What to call the file in a message.

    Returns:
        A configuration in the form of `config.json`, relative; ViT-S, ViT-B and ViT-L as published, and
        other sizes that follow the same rules.

    Raises:
        CheckpointError: Tensors are missing, or the shapes belong to no Depth Anything V2.
    """
    try:
        hidden, channels, patch, patch_w = state["pretrained.patch_embed.proj.weight"].shape
        positions = state["pretrained.pos_embed"].shape[1] - 1
        blocks = 1 + max(int(m[1]) for m in map(_BLOCK.match, state) if m)
        inner = state["pretrained.blocks.0.mlp.fc1.weight"].shape[0]
        necks = [state[f"depth_head.projects.{i}.weight"].shape[0] for i in range(4)]
        fusion = state["depth_head.scratch.layer1_rn.weight"].shape[0]
        head = state["depth_head.scratch.output_conv2.0.weight"].shape[0]
        side = round(positions**0.5)
        if side * side != positions or patch != patch_w or channels != 3 or inner % hidden:
            raise ValueError("shapes that don't agree")
        if blocks not in _HOOKS and blocks % 4:
            raise ValueError(f"{blocks} blocks")
    except (KeyError, ValueError, IndexError) as error:
        raise CheckpointError(
            f"{name} is no Depth Anything V2 of size S, B or L (looked for {error}); "
            "fetch the original file again"
        ) from error
    hooks = _HOOKS.get(blocks) or tuple(blocks * i // 4 for i in (1, 2, 3, 4))
    return {
        "model_type": "depth_anything",
        "backbone_config": {
            "model_type": "dinov2",
            "image_size": side * patch,
            "patch_size": patch,
            "hidden_size": hidden,
            "num_hidden_layers": blocks,
            # DINOv2's heads are 64 wide throughout.
            "num_attention_heads": max(1, hidden // 64),
            "mlp_ratio": inner // hidden,
            "out_indices": list(hooks),
            "apply_layernorm": True,
            "reshape_hidden_states": False,
        },
        "patch_size": patch,
        "reassemble_hidden_size": hidden,
        "neck_hidden_sizes": necks,
        "fusion_hidden_size": fusion,
        "head_hidden_size": head,
        "depth_estimation_type": "relative",
        "max_depth": 1,
    }


def renamed(
    state: Mapping[str, torch.Tensor], expected: Mapping[str, torch.Tensor]
) -> dict[str, torch.Tensor]:
    """Give the tensors the names that `transformers` uses, splitting the fused attention.

    Args:
        state: Tensors by their original names.
        expected: `state_dict()` of the model to be filled, for the spelling of its names; empty for the
            newest spelling.

    Returns:
        Tensors by new names; what has no counterpart keeps its old name, so that loading reports it.
    """
    query, key, value, out = next(
        (names for names in _SPELLINGS if f"backbone.encoder.layer.0.{names[0]}.weight" in expected),
        _SPELLINGS[0],
    )
    result: dict[str, torch.Tensor] = {}
    for name, tensor in state.items():
        if match := re.fullmatch(r"pretrained\.blocks\.(\d+)\.attn\.qkv\.(weight|bias)", name):
            for part, rows in zip((query, key, value), tensor.tensor_split(3), strict=True):
                result[f"backbone.encoder.layer.{match[1]}.{part}.{match[2]}"] = rows
        elif match := re.fullmatch(r"pretrained\.blocks\.(\d+)\.attn\.proj\.(\w+)", name):
            result[f"backbone.encoder.layer.{match[1]}.{out}.{match[2]}"] = tensor
        elif match := _STAGE.fullmatch(name):
            result[_stage_name(match)] = tensor
        else:
            result[_direct_name(name)] = tensor
    return result


_BLOCK = re.compile(r"pretrained\.blocks\.(\d+)\.")
_STAGE = re.compile(
    r"depth_head\.scratch\.(?:layer(?P<rn>[1-4])_rn|refinenet(?P<net>[1-4])\."
    r"(?:resConfUnit(?P<unit>[12])\.conv(?P<conv>[12])|(?P<out>out_conv)))\.(?P<leaf>\w+)"
)


def _stage_name(match: re.Match[str]) -> str:
    if match["rn"]:
        return f"neck.convs.{int(match['rn']) - 1}.{match['leaf']}"
    stage = f"neck.fusion_stage.layers.{4 - int(match['net'])}"
    if match["out"]:
        return f"{stage}.projection.{match['leaf']}"
    return f"{stage}.residual_layer{match['unit']}.convolution{match['conv']}.{match['leaf']}"


def _direct_name(name: str) -> str:
    for pattern, replacement in _DIRECT:
        new, count = re.subn(rf"^{pattern}$", replacement, name)
        if count:
            return new
    return name
