"""References as equations in the inverse depth at places of the picture, the one form that the fit knows.

A reference either says what 1/z is at places (`Observations`, one row each) or binds the 1/z of a few places
together (`Constraint`). Neither knows which law joins the depth map to metres.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import TypeAlias

import numpy as np
import numpy.typing as npt

__all__ = ["Constraint", "Equations", "Observations"]

_Array: TypeAlias = npt.NDArray[np.float64]


@dataclass(frozen=True, slots=True, eq=False)
class Observations:
    """n places whose inverse depth is known.

    Attributes:
        value: (n,) what the depth map says there: disparity of a relative map, z of a metric one.
        value_sigma: (n,) how far neighbouring pixels of the map scatter about it, in its unit.
        place: (n, 2) where, in -1..1 from the left (top) edge of the picture to the right (bottom) one.
        inverse_depth: (n,) the known 1/z in 1/m; 0 is infinitely far.
        sigma: (n,) its standard deviation in 1/m.
        share: (n,) how much of an independent measurement each is, in 0..1.
        reference: (n,) index of the reference that each belongs to.
    """

    value: _Array
    value_sigma: _Array
    place: _Array
    inverse_depth: _Array
    sigma: _Array
    share: _Array
    reference: npt.NDArray[np.intp]

    def __len__(self) -> int:
        return len(self.value)

    def __getitem__(self, rows: npt.NDArray[np.bool_] | npt.NDArray[np.intp]) -> Observations:
        return Observations(*(getattr(self, name)[rows] for name in self.__dataclass_fields__))


@dataclass(frozen=True, slots=True, eq=False)
class Constraint:
    """A condition on the inverse depths of k places together: a length between two points, a floor's height.

    Attributes:
        value: (k,) what the depth map says at the places.
        place: (k, 2) where, in -1..1 as for `Observations`.
        log_residual: Takes (..., k) inverse depths in 1/m, all positive, and gives (...) the logarithm of
            what the condition's length comes out as, over what it should be.
        sigma_log: Standard deviation of that, which is the relative one of the length.
        reference: Index of the reference.
    """

    value: _Array
    place: _Array
    log_residual: Callable[[_Array], _Array]
    sigma_log: float
    reference: int


@dataclass(frozen=True, slots=True, eq=False)
class Equations:
    """All that the references say.

    Attributes:
        observations: Rows, possibly none.
        constraints: Conditions, possibly none.
        notes: One sentence for each thing that was noticed: a reference at an edge, pixels left out.
    """

    observations: Observations
    constraints: tuple[Constraint, ...] = ()
    notes: tuple[str, ...] = ()
