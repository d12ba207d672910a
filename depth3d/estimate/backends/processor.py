"""Depth Anything in the form in which PyTorch runs it fastest on x86 processors with AVX-512.

Two things hold PyTorch back there. Products by weights go to MKL, which leaves AVX-512 unused on processors
that are not Intel's, or the weights are repacked in every pass; oneDNN, which PyTorch brings along, does
neither once they are packed. And PyTorch's attention in bfloat16 multiplies at a fifth of the rate that the
processor has, unless it has matrix units (AMX); plain products of blocks of rows whose scores stay in the
cache run at half of it. One core of Zen 5, Small at 518 x 686: a pass takes 1.27 s instead of 1.68 s in
float32 and 0.52 s instead of 1.03 s in bfloat16, where the head runs in bands, too.
"""

from __future__ import annotations

import copy
import logging
import math
from itertools import chain, product
from typing import Any

import torch
from torch import nn

from depth3d.accel.precision import cpu_flags
from depth3d.estimate.backends.banded_head import BandedHead
from depth3d.estimate.depth_anything import DepthAnything

__all__ = ["blockwise_attention", "fitted_to_processor"]

_log = logging.getLogger("depth3d")

_SCORES = 1 << 20
"""Scores that each thread holds at a time: 2 MB in bfloat16, which stay near it. Smaller blocks stay nearer,
but before and after every product there are 30 us for one thread alone."""

_MOST_THREADS = 16
"""Heads are worked on one after the other; beyond this many threads there is too little in each."""

_SAFE_POWER = 100.0
"""Powers of two up to this one, summed over all keys and times the values, stay in the range of float32 and
bfloat16."""

_UNIT = 32
"""Widths that are multiples of this fill the registers; tiny networks are left as they are."""


class _PackedLinear(nn.Module):
    """A product by weights that lie in memory as oneDNN reads them, with what follows it.

    The operator is the one that PyTorch's own compiler calls on CPUs, since 2.0.
    """

    def __init__(self, layer: nn.Linear, then: str = "none") -> None:
        super().__init__()
        # Plain attributes: neither is to be converted or saved.
        self._weight = torch.ops.mkldnn._reorder_linear_weight(layer.weight.detach(), None)
        self._bias = layer.bias.detach()
        self._then = then

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        product: torch.Tensor = torch.ops.mkldnn._linear_pointwise(
            x, self._weight, self._bias, self._then, [], "none" if self._then == "gelu" else ""
        )
        return product


def fitted_to_processor(network: nn.Module, flags: frozenset[str] | None = None) -> nn.Module:
    """Give a network the form that suits this processor.

    Args:
        network: On the CPU, in the number format that it is to compute in.
        flags: What the processor can do, as Linux calls it; None asks it.

    Returns:
        The same network in another form, which shares what it did not repack; or `network` itself where
        nothing is to be gained: not Depth Anything, no AVX-512, or a PyTorch without the operators.
    """
    flags = cpu_flags() if flags is None else flags
    dtype = next(network.parameters()).dtype
    packs = "avx512f" in flags and dtype in (torch.float32, torch.bfloat16)
    if not (packs and isinstance(network, DepthAnything)):
        return network
    fitted = copy.deepcopy(
        network, {id(part): part for part in chain(network.parameters(), network.buffers())}
    )
    try:
        with torch.inference_mode():
            for block in fitted.blocks:
                _pack(block)
    except (AttributeError, NotImplementedError, RuntimeError) as error:
        _log.info("weights stay unpacked: %s", (str(error).splitlines() or [""])[0])
        return network
    if dtype is torch.bfloat16:
        setattr(fitted.fuse[-1], "enlarge", _unchanged)  # noqa: B010, a function and no part of the module
        setattr(fitted, "head", BandedHead(fitted.head))  # noqa: B010, of another type
    if dtype is torch.bfloat16 and "avx512_bf16" in flags and "amx_bf16" not in flags:
        for block in fitted.blocks:
            setattr(block, "attend", blockwise_attention)  # noqa: B010, a function and no part of the module
    return fitted


def blockwise_attention(query: torch.Tensor, key: torch.Tensor, value: torch.Tensor) -> torch.Tensor:
    """Compute softmax(q k^T / sqrt(width)) v a head, or a part of one, at a time.

    Scores are rounded to the format of the inputs. What all keys share adds the same to every score of a
    query, which the softmax takes out again; it is left out from the start, so that the rounding is of the
    differences alone. The mean score of a query is 0 then, and the largest no less: unless it is above
    `_SAFE_POWER`, which |q k| <= |q| |k| mostly rules out, the exponentials are taken of the scores as they
    are, as powers of two, and their sum is divided out of the result instead of out of them.

    Args:
        query: (n, heads, tokens, width).
        key: The same shape.
        value: The same shape.

    Returns:
        (n, tokens, heads * width).
    """
    n, heads, tokens, width = query.shape
    threads = torch.get_num_threads()
    if threads > _MOST_THREADS:
        seen = nn.functional.scaled_dot_product_attention(query, key, value)
        return seen.transpose(1, 2).reshape(n, tokens, heads * width)
    scale = math.log2(math.e) * width**-0.5
    keys = key - key.mean(2, keepdim=True)
    bounds = (query.norm(dim=3).amax(2).float() * keys.norm(dim=3).amax(2).float() * scale).tolist()
    keys = keys.transpose(2, 3)
    rows = math.ceil(tokens / math.ceil(tokens**2 / (_SCORES * threads)))
    memory = query.new_empty(rows, tokens)
    result = query.new_empty(n, tokens, heads, width)
    totals = query.new_ones(n, tokens, heads)
    for image, head, top in product(range(n), range(heads), range(0, tokens, rows)):
        place = (image, slice(top, top + rows), head)
        some, others = query[image, head, place[1]], keys[image, head]
        scores = memory[: len(some)]
        torch.addmm(scores, some, others, beta=0, alpha=scale, out=scores)
        if bounds[image][head] < _SAFE_POWER or bool(scores.max() < _SAFE_POWER):
            torch.sum(scores.exp2_(), 1, out=totals[place])
        else:
            torch.addmm(scores, some, others, beta=0, alpha=width**-0.5, out=scores)
            torch.softmax(scores, 1, out=scores)
        torch.mm(scores, value[image, head], out=result[place])
    return result.div_(totals[..., None]).view(n, tokens, heads * width)


def _unchanged(x: torch.Tensor, size: Any) -> torch.Tensor:
    return x


def _pack(block: Any) -> None:
    """Repack the weights of a block whose widths allow it, and let `fc1` do the GELU."""
    for name in ("query_key_value", "mix", "fc1", "fc2"):
        layer = getattr(block, name)
        if layer.in_features % _UNIT == 0 and layer.out_features % _UNIT == 0:
            setattr(block, name, _PackedLinear(layer, "gelu" if name == "fc1" else "none"))
            if name == "fc1":
                block.activate = nn.Identity()
