"""Batch normalisation for the time of training, in networks that have none when they are used.

A decoder that starts from nothing learns many times faster with normalised features: without it, a loss
that is blind to scale lets the coarse features grow until they drown the fine ones. When training is over,
each normalisation is folded into the convolution before it, which changes nothing but the cost.
"""

from __future__ import annotations

from collections.abc import Collection

from torch import nn
from torch.nn.utils.fusion import fuse_conv_bn_eval

__all__ = ["add_norms", "fold_norms"]


class _Normed(nn.Sequential):
    """A convolution and its normalisation."""


def add_norms(module: nn.Module, *, without: Collection[nn.Module] = ()) -> None:
    """Put a batch normalisation behind each convolution, in place.

    Args:
        module: A network.
        without: Parts, of any depth, that are left as they are.
    """
    for name, child in module.named_children():
        if any(child is part for part in without):
            continue
        if isinstance(child, nn.Conv2d):
            setattr(module, name, _Normed(child, nn.BatchNorm2d(child.out_channels)))
        else:
            add_norms(child, without=without)


def fold_norms(module: nn.Module) -> None:
    """Fold what `add_norms` added into the convolutions, in place.

    Args:
        module: A network in evaluation mode: its running statistics are what is folded.
    """
    for name, child in module.named_children():
        if isinstance(child, _Normed):
            conv, norm = child
            assert isinstance(conv, nn.Conv2d)
            assert isinstance(norm, nn.BatchNorm2d)
            setattr(module, name, fuse_conv_bn_eval(conv, norm))
        else:
            fold_norms(child)
