"""NumPy arrays seen as tensors without a copy."""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt
import torch

from depth3d.accel.threads import share_threads

__all__ = ["tensor_view"]


class _Borrowed:
    """An array's memory under another flag: PyTorch warns about arrays that are locked."""

    def __init__(self, array: npt.NDArray[Any]) -> None:
        self._owner = array
        interface = dict(array.__array_interface__)
        interface["data"] = (interface["data"][0], False)
        self.__array_interface__ = interface


def tensor_view(array: npt.NDArray[Any]) -> torch.Tensor:
    """View an array, locked or not, as a CPU tensor that shares its memory.

    Args:
        array: Any array of a type that PyTorch knows.

    Returns:
        A tensor of the same shape and strides, to be read only: PyTorch has no read-only tensors, and
        the public types of depth3d hold locked arrays that nobody may change.
    """
    share_threads()
    return torch.from_numpy(np.asarray(_Borrowed(array)))
