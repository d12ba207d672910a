"""`reference_network`: what a metric network says about a photo, as a reference among others."""

from __future__ import annotations

from depth3d.calibrate.references import DepthSamples
from depth3d.core.depth import DepthMap

__all__ = ["reference_network"]

_SIGMA_REL = 0.12
_INDEPENDENT = 5.0


def reference_network(
    depth: DepthMap,
    size_wh: tuple[int, int],
    *,
    sigma_rel: float = _SIGMA_REL,
    independent: float = _INDEPENDENT,
    label: str = "a metric network",
) -> DepthSamples:
    """Take a metric network's map of the same photo as a dense, noisy reference.

    Alone it gives a relative map rough metres; beside a single measured distance it supplies the second
    number that an affine law needs. Two figures keep it from outvoting what was measured:

    - its depths are mostly wrong by one common factor, of the focal length and the scenes that it was trained
      on: 10 to 15 % on photos like these, more on others, hence a relative sigma of 12 %;
    - its errors go on over large parts of the picture: however many pixels there are, they are worth about
      five measurements, so that their mean is known to 5 % and no better, while a tape gives 2 % at once.

    Args:
        depth: The network's map, metric, of any size.
        size_wh: (width, height) of the photo.
        sigma_rel: Relative standard deviation of its z.
        independent: How many measurements all its pixels are worth.
        label: What to call it in messages and reports.

    Returns:
        Samples all over the picture, at most 50,000.

    Raises:
        NeedsMetricError: The map is relative.
        InputError: No pixel is known.
    """
    return DepthSamples.from_map(
        depth, size_wh, error="relative", sigma=sigma_rel, independent=independent, label=label
    )
