"""Depth Anything's weights under the names of `transformers`, brought into the form of `DepthAnything`."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any

import torch

from depth3d.estimate.depth_anything import Architecture, DepthAnything

__all__ = ["architecture_from_config", "build_depth_anything"]

_FIXED = {
    "hidden_act": "gelu",
    "qkv_bias": True,
    "use_swiglu_ffn": False,
    "apply_layernorm": True,
    "reshape_hidden_states": False,
    "num_channels": 3,
}
"""What `DepthAnything` does and a configuration of DINOv2 may ask otherwise."""

_DINOV2_DEFAULTS: dict[str, Any] = {
    "hidden_size": 768,
    "num_hidden_layers": 12,
    "num_attention_heads": 12,
    "mlp_ratio": 4,
    "layer_norm_eps": 1e-6,
    "image_size": 224,
    "patch_size": 14,
    "hidden_act": "gelu",
    "qkv_bias": True,
    "use_swiglu_ffn": False,
    "apply_layernorm": True,
    "reshape_hidden_states": True,
    "num_channels": 3,
}
_DECODER_DEFAULTS: dict[str, Any] = {
    "patch_size": 14,
    "neck_hidden_sizes": [48, 96, 192, 384],
    "fusion_hidden_size": 64,
    "head_hidden_size": 32,
    "reassemble_factors": [4, 2, 1, 0.5],
    "head_in_index": -1,
    "depth_estimation_type": "relative",
}
"""What `config.json` may leave out."""

_OLD_SPELLINGS = (
    ("attention.attention.query", "attention.q_proj"),
    ("attention.attention.key", "attention.k_proj"),
    ("attention.attention.value", "attention.v_proj"),
    ("attention.output.dense", "attention.o_proj"),
)
"""The names of the attention on disk, and what newer versions of `transformers` call them."""

_NAMES = (
    # ours -> theirs
    (r"cls_token|position_embeddings", r"backbone.embeddings.\g<0>"),
    (r"patch\.(\w+)", r"backbone.embeddings.patch_embeddings.projection.\1"),
    (r"norm\.(\w+)", r"backbone.layernorm.\1"),
    (r"blocks\.(\d+)\.(norm[12])\.(\w+)", r"backbone.encoder.layer.\1.\2.\3"),
    (r"blocks\.(\d+)\.(fc[12])\.(\w+)", r"backbone.encoder.layer.\1.mlp.\2.\3"),
    (r"blocks\.(\d+)\.mix\.(\w+)", r"backbone.encoder.layer.\1.attention.o_proj.\2"),
    (r"project\.(\d)\.(\w+)", r"neck.reassemble_stage.layers.\1.projection.\2"),
    (r"resize\.(\d)\.(\w+)", r"neck.reassemble_stage.layers.\1.resize.\2"),
    (r"narrow\.(\d)\.weight", r"neck.convs.\1.weight"),
    (r"fuse\.(.*)", r"neck.fusion_stage.layers.\1"),
    (r"head\..*", r"\g<0>"),
)
_SCALES = {"mix": "layer_scale1", "fc2": "layer_scale2"}
"""A product and the LayerScale behind it."""

_UNUSED = re.compile(r".*mask_token|backbone\.pooler\..*|neck\.fusion_stage\.layers\.0\.residual_layer1\..*")
"""Weights that are stored and never reach the output."""


def architecture_from_config(config: Mapping[str, Any]) -> Architecture | None:
    """Read the sizes of an architecture from its configuration.

    Args:
        config: Contents of `config.json` with `model_type` `depth_anything`.

    Returns:
        The sizes; None where the configuration asks for something that `DepthAnything` does not do, or
        makes no sense: `transformers` runs it, or says what is wrong.
    """
    backbone = config.get("backbone_config")
    if not isinstance(backbone, Mapping) or backbone.get("model_type") != "dinov2":
        return None
    if "quantization_config" in config:
        return None
    inner, outer = _DINOV2_DEFAULTS | dict(backbone), _DECODER_DEFAULTS | dict(config)
    try:
        sizes = Architecture(
            hidden_size=_whole(inner["hidden_size"]),
            num_attention_heads=_whole(inner["num_attention_heads"]),
            mlp_size=_whole(inner["hidden_size"]) * _whole(inner["mlp_ratio"]),
            num_hidden_layers=_whole(inner["num_hidden_layers"]),
            out_indices=_hooks(inner),
            patch_size=_whole(inner["patch_size"]),
            grid_size=_whole(inner["image_size"]) // _whole(inner["patch_size"]),
            neck_hidden_sizes=tuple(_whole(width) for width in outer["neck_hidden_sizes"]),
            fusion_hidden_size=_whole(outer["fusion_hidden_size"]),
            head_hidden_size=_whole(outer["head_hidden_size"]),
            is_metric=outer["depth_estimation_type"] == "metric",
            layer_norm_eps=float(inner["layer_norm_eps"]),
        )
    except (TypeError, ValueError, KeyError):
        return None
    fits = (
        all(inner[key] == value for key, value in _FIXED.items())
        and list(outer["reassemble_factors"]) == [4, 2, 1, 0.5]
        and outer["head_in_index"] in (-1, 3)
        and outer["patch_size"] == sizes.patch_size
        and outer.get("reassemble_hidden_size", sizes.hidden_size) == sizes.hidden_size
        and sizes.hidden_size % sizes.num_attention_heads == 0
        and len(sizes.neck_hidden_sizes) == len(sizes.out_indices) == 4
        and sizes.out_indices[0] >= 1
        and sizes.out_indices[-1] <= sizes.num_hidden_layers
        and list(sizes.out_indices) == sorted(set(sizes.out_indices))
    )
    return sizes if fits else None


def build_depth_anything(
    sizes: Architecture, stored: Mapping[str, torch.Tensor]
) -> tuple[DepthAnything, list[str], list[str], list[str]]:
    """Make a network of stored weights.

    Args:
        sizes: Of the architecture.
        stored: Tensors by the names of `transformers`, of any version. Those that need no change are
            kept as they are, so that a file that was mapped into memory is only read where it is used.

    Returns:
        The network in float32, and the names of tensors that are missing, of those that have another
        shape, and of those that belong nowhere. Unless the first two are empty the network must not be used.
    """
    tensors = {_spelled(name): tensor for name, tensor in stored.items()}
    with torch.device("meta"):
        network = DepthAnything(sizes)
    missing: list[str] = []
    misshapen: list[str] = []
    used: set[str] = set()
    state: dict[str, torch.Tensor] = {}
    for name, weight in network.state_dict().items():
        parts, scale = _sources(name)
        shape = (weight.shape[0] // len(parts), *weight.shape[1:])
        shapes = dict.fromkeys(parts, shape) | ({scale: (weight.shape[0],)} if scale else {})
        used |= shapes.keys()
        missing += [source for source in shapes if source not in tensors]
        misshapen += [s for s, size in shapes.items() if s in tensors and tuple(tensors[s].shape) != size]
        if missing or misshapen:
            continue
        values = (
            torch.cat([tensors[p].float() for p in parts]) if len(parts) > 1 else tensors[parts[0]].float()
        )
        if scale:
            factor = tensors[scale].float()
            values = values * (factor if values.ndim == 1 else factor[:, None])
        state[name] = values
    unknown = [name for name in tensors if name not in used and not _UNUSED.fullmatch(name)]
    if not missing and not misshapen:
        network.load_state_dict(state, assign=True)
    return network, sorted(set(missing)), sorted(set(misshapen)), sorted(unknown)


def _sources(name: str) -> tuple[tuple[str, ...], str | None]:
    """Name the stored tensors that are stacked into one of ours, and the LayerScale that it takes in."""
    if match := re.fullmatch(r"blocks\.(\d+)\.query_key_value\.(\w+)", name):
        layer = f"backbone.encoder.layer.{match[1]}.attention"
        return tuple(f"{layer}.{part}_proj.{match[2]}" for part in "qkv"), None
    theirs = next(re.sub(ours, new, name) for ours, new in _NAMES if re.fullmatch(ours, name))
    match = re.fullmatch(r"blocks\.(\d+)\.(mix|fc2)\.\w+", name)
    scale = f"backbone.encoder.layer.{match[1]}.{_SCALES[match[2]]}.lambda1" if match else None
    return (theirs,), scale


def _spelled(name: str) -> str:
    for old, new in _OLD_SPELLINGS:
        name = name.replace(old, new)
    return name


def _whole(value: Any) -> int:
    if isinstance(value, bool) or int(value) != value or value < 1:
        raise ValueError(f"{value!r} is no size")
    return int(value)


def _hooks(backbone: Mapping[str, Any]) -> tuple[int, ...]:
    """Read the blocks to look at from `out_indices` or `out_features`, which must agree if both are there."""
    indices = backbone.get("out_indices")
    named = backbone.get("out_features")
    stages = None if named is None else tuple(int(str(one).removeprefix("stage")) for one in named)
    hooks = stages if indices is None else tuple(_whole(index) for index in indices)
    if hooks is None or (stages is not None and stages != hooks):
        raise ValueError("no blocks to look at")
    return hooks
