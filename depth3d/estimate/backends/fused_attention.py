"""Attention as one operator of ONNX Runtime, which never holds all scores at once."""

from __future__ import annotations

import copy
from functools import partial
from itertools import chain
from typing import Any

import torch
from torch.nn.functional import scaled_dot_product_attention

from depth3d.estimate.depth_anything import DepthAnything

__all__ = ["with_fused_attention"]


class _Attention(torch.autograd.Function):
    """Attention that ends as one node of a graph; ONNX Runtime alone knows it."""

    @staticmethod
    def forward(
        ctx: Any, query: torch.Tensor, key: torch.Tensor, value: torch.Tensor, heads: int
    ) -> torch.Tensor:
        def by_head(x: torch.Tensor) -> torch.Tensor:
            return x.reshape(*x.shape[:2], heads, -1).transpose(1, 2)

        seen = scaled_dot_product_attention(by_head(query), by_head(key), by_head(value))
        return seen.transpose(1, 2).flatten(2)

    @staticmethod
    def symbolic(graph: Any, query: Any, key: Any, value: Any, heads: int) -> Any:
        made = graph.op("com.microsoft::MultiHeadAttention", query, key, value, num_heads_i=heads)
        return made.setType(query.type())


def _attended(heads: int, *parts: torch.Tensor) -> torch.Tensor:
    query, key, value = (x.transpose(1, 2).flatten(2) for x in parts)
    result: torch.Tensor = _Attention.apply(query, key, value, heads)  # type: ignore[no-untyped-call]
    return result


def with_fused_attention(network: torch.nn.Module) -> torch.nn.Module:
    """Give a network the attention of ONNX Runtime, once it is exported.

    Args:
        network: On the CPU.

    Returns:
        A copy that shares its weights; `network` itself if it is not Depth Anything.
    """
    if not isinstance(network, DepthAnything):
        return network
    shared = {id(part): part for part in chain(network.parameters(), network.buffers())}
    fused = copy.deepcopy(network, shared)
    for block in fused.blocks:
        attend = partial(_attended, fused.config.num_attention_heads)
        setattr(block, "attend", attend)  # noqa: B010, a function and no part of the module
    return fused
