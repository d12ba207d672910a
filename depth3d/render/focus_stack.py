"""`focus_stack`: the same photo focused at one distance after the other."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from typing import Literal

import numpy as np
import numpy.typing as npt

from depth3d.core.arrays import ImageArray
from depth3d.core.lens import ThinLens
from depth3d.core.scene import RGBD
from depth3d.errors import InputError
from depth3d.render.aperture import Aperture
from depth3d.render.defocus import Defocus
from depth3d.render.looks import Look
from depth3d.render.refocus import Refocus

__all__ = ["FocusStack", "StackPlan", "focus_stack", "plan_stack"]

_ENDS_PERCENT = (1.0, 99.0)


@dataclass(frozen=True, slots=True, eq=False)
class FocusStack:
    """Pictures of one scene with different focus.

    Attributes:
        images: (n, H, W, 3) uint8, from the nearest focus to the farthest.
        disparities: (n,) float64, in focus, in the map's unit: 1/m of a metric one.
        index: (H, W) uint16: the picture in which a pixel is sharpest, by the depth.
    """

    images: npt.NDArray[np.uint8]
    disparities: npt.NDArray[np.float64]
    index: npt.NDArray[np.uint16]

    @property
    def all_in_focus(self) -> ImageArray:
        """(H, W, 3) uint8: each pixel from the picture in which it is sharpest."""
        rows, cols = np.indices(self.index.shape, sparse=True)
        return np.ascontiguousarray(self.images[self.index, rows, cols])


def focus_stack(
    scene: RGBD,
    count: int,
    *,
    lens: ThinLens | None = None,
    strength_px: float | None = None,
    aperture: Aperture | None = None,
    highlights: float = 0.0,
    fringe_px: tuple[float, float, float] = (0.0, 0.0, 0.0),
    grain: float = 0.0,
    seed: int = 0,
    edges: Literal["snap", "keep"] = "snap",
    device: str = "auto",
    on_image: Callable[[int], None] | None = None,
) -> FocusStack:
    """Photograph a scene with the focus on one distance after the other.

    The focus goes evenly in dioptres from the nearest thing to the farthest (99th and 1st percentile of the
    map's disparity), so that each picture's sharp range joins that of the next. All pictures are held in
    memory; `plan_stack` lets you take them one at a time.

    Args:
        scene: A photo with metric or relative depth.
        count: Pictures, 2 or more.
        lens: As for `bokeh`, and so are all others.
        strength_px: As for `bokeh`.
        aperture: As for `bokeh`.
        highlights: As for `bokeh`.
        fringe_px: As for `bokeh`.
        grain: As for `bokeh`; another grain in each picture.
        seed: As for `bokeh`.
        edges: As for `bokeh`.
        device: As for `bokeh`.
        on_image: Called with 1 after each picture, for a progress bar.

    Raises:
        InputError: Fewer than two pictures, or what `bokeh` refuses.
        NeedsMetricError: A lens for a relative map.
        DeviceError: The device is not there.
    """
    look = Look(aperture or Aperture(), highlights, fringe_px, grain, seed)
    photo = Refocus(scene, edges=edges, device=device)
    plan = plan_stack(photo, count, lens=lens, strength_px=strength_px)
    images = np.empty((count, *scene.image.shape), np.uint8)
    for number, image in enumerate(plan.images(photo, look)):
        images[number] = image
        if on_image:
            on_image(1)
    return FocusStack(images, plan.disparities, plan.index)


@dataclass(frozen=True, slots=True, eq=False)
class StackPlan:
    """A focus stack before it is taken.

    Attributes:
        settings: Of each picture, from the nearest focus to the farthest.
        index: (H, W) uint16: the picture in which a pixel will be sharpest.
    """

    settings: list[Defocus]
    index: npt.NDArray[np.uint16]

    @property
    def disparities(self) -> npt.NDArray[np.float64]:
        """(n,) in focus, in the map's unit."""
        return np.array([setting.disparity for setting in self.settings])

    def images(self, photo: Refocus, look: Look) -> Iterator[ImageArray]:
        """Take the pictures of the photo that was planned for, one at a time."""
        photo.prepare(self.settings)
        for number, setting in enumerate(self.settings):
            yield photo.image(setting, replace(look, seed=look.seed + number))


def plan_stack(
    photo: Refocus, count: int, *, lens: ThinLens | None = None, strength_px: float | None = None
) -> StackPlan:
    """Plan the stack of a photo that is taken apart already.

    Args:
        photo: The photo.
        count: As for `focus_stack`, and so are all others.
        lens: As for `focus_stack`.
        strength_px: As for `focus_stack`.

    Raises:
        InputError: As `focus_stack`.
        NeedsMetricError: As `focus_stack`.
    """
    if not (isinstance(count, int | np.integer) and 2 <= count <= 65535):
        raise InputError(f"a focus stack needs 2 or more pictures, got {count!r}")
    far, near = np.percentile(photo.disparity, _ENDS_PERCENT)
    disparities = np.linspace(near, far, count)
    # The opening is that of every focus.
    gain = photo.defocus(photo.focus(focus_disparity=float(near)), lens=lens, strength_px=strength_px).gain
    settings = [Defocus(gain, float(disparity)) for disparity in disparities]
    step = (near - far) / (count - 1)
    place = (near - photo.disparity) / step if step > 0 else np.zeros_like(photo.disparity)
    index = np.rint(np.clip(place, 0, count - 1)).astype(np.uint16)
    return StackPlan(settings, index)
