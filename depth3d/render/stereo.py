"""`stereo`: what a left and a right eye would have seen where the photo was taken."""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Literal, TypeAlias

import numpy as np

from depth3d.core.arrays import FloatMap, ImageArray
from depth3d.core.camera import Camera
from depth3d.core.scene import RGBD
from depth3d.core.stages import stage
from depth3d.errors import InputError
from depth3d.render.inpainting import Inpainter
from depth3d.render.inverse_depth import inverse_depth_of
from depth3d.render.layers import layers_of
from depth3d.render.sheets import Layers
from depth3d.render.stereo_layouts import stereo_picture
from depth3d.render.stereo_rig import StereoRig, plan_rig
from depth3d.render.views import ViewRenderer

__all__ = ["Eye", "StereoPair", "StereoViews", "stereo"]

Eye: TypeAlias = Literal["left", "right"]

_MOST_VIEWS = 1000


@dataclass(frozen=True, slots=True, eq=False)
class StereoPair:
    """Both eyes' pictures: `left, right = stereo(scene)`.

    Attributes:
        left: (H, W, 3) uint8 sRGB.
        right: (H, W, 3) uint8 sRGB.
        rig: Where the eyes were.
    """

    left: ImageArray
    right: ImageArray
    rig: StereoRig

    def __iter__(self) -> Iterator[ImageArray]:
        return iter((self.left, self.right))

    def picture(self, layout: str = "side-by-side", *, anaglyph: str = "dubois") -> ImageArray:
        """Put both into one picture: `depth3d.render.stereo_layouts.stereo_picture`.

        Raises:
            InputError: No such layout or anaglyph.
        """
        return stereo_picture(self.left, self.right, layout, anaglyph=anaglyph)


@stage("stereo")
def stereo(
    scene: RGBD | Layers,
    *,
    divergence_percent: float | None = None,
    baseline_mm: float | None = None,
    convergence: float | None = None,
    converge_at: tuple[float, float] | None = None,
    convergence_m: float | None = None,
    keep: Eye | None = None,
    swap: bool = False,
    window: bool = False,
    edges: Literal["snap", "keep"] = "snap",
    inpainter: Inpainter | None = None,
    supersample: int = 1,
    device: str = "auto",
    seed: int = 0,
) -> StereoPair:
    """Show a photo to both eyes.

    How strong it is: `divergence_percent`, or `baseline_mm` with a metric map. What lies on the screen (or
    the print), all nearer things being in front of it: `convergence`, `converge_at` or `convergence_m`. A
    baseline alone leaves the cameras parallel, as in a stereo camera with two equal lenses: everything is in
    front of the screen. The pictures are shifted onto the screen (off-axis), never turned (toed in).

    At the borders the eyes see beyond the photo; there the surfaces go on as `layers` continues them. With
    `window` those parts of each eye's picture are black that would let things in front of the screen be cut
    off by its edge (a floating window): the left eye's left border and the right eye's right one.

    Args:
        scene: A photo with metric or relative depth; or layers, made wide enough for this.
        divergence_percent: From the nearest to the farthest part of the scene, how much their parallax
            differs between the eyes, in percent of the width. 2 if there is no baseline either; more than 3
            strains many eyes.
        baseline_mm: Between the eyes; people's are 63 mm apart.
        convergence: What has no parallax, by inverse depth: 0 is the farthest part, 1 the nearest; 0.5 if
            nothing else says.
        converge_at: (u, v) in pixels of what has none.
        convergence_m: z in metres of what has none; infinity leaves the cameras parallel.
        keep: The eye that gets the photo as it is, byte for byte (but for a `window`); None puts the photo
            in the middle between both.
        swap: Exchange the eyes.
        window: Black out what crosses the window's edge.
        edges: `snap` moves soft edges of the depth to where the photo has them; `keep` believes the map.
        inpainter: Somebody's inpainter for what was hidden, instead of ours.
        supersample: As for `render_views`.
        device: `auto`, `cpu`, `cuda`, `cuda:1` or `mps`.
        seed: Where chance plays.

    Returns:
        The pair; `.picture(layout)` puts it into one picture, `.rig.facts` says what it means.

    Raises:
        InputError: Two ways to say one thing, a number out of range, a point outside the picture, or parallax
            of more than half the width.
        NeedsMetricError: Millimetres or metres for a relative map.
        DeviceError: The device is not there.
    """
    views = StereoViews(
        scene,
        divergence_percent=divergence_percent,
        baseline_mm=baseline_mm,
        convergence=convergence,
        converge_at=converge_at,
        convergence_m=convergence_m,
        keep=keep,
        edges=edges,
        inpainter=inpainter,
        supersample=supersample,
        device=device,
        seed=seed,
    )
    left, right = views
    if window:
        left, right = views.windowed(left, right)
    if swap:
        left, right = right, left
    return StereoPair(left, right, views.rig)


class StereoViews:
    """Views of a photo from a row of eyes, from the left to the right: for swings, quilts and pairs.

    `iter(views)` renders them, one at a time; the scene is taken apart when the first one is asked for.

    Args:
        scene: As for `stereo`, and so are all others.
        count: How many, two or more, evenly spaced; the baseline and the divergence are between the first and
            the last.
        divergence_percent: As for `stereo`.
        baseline_mm: As for `stereo`.
        convergence: As for `stereo`.
        converge_at: As for `stereo`.
        convergence_m: As for `stereo`.
        keep: As for `stereo`: `left` makes the photo the first of them, `right` the last.
        edges: As for `stereo`.
        inpainter: As for `stereo`.
        supersample: As for `stereo`.
        device: As for `stereo`.
        seed: As for `stereo`.

    Attributes:
        rig: Where the eyes are.
        places: Of each eye, as `StereoRig.view` takes them.

    Raises:
        InputError: As `stereo`, or fewer than two views.
        NeedsMetricError: As `stereo`.
    """

    def __init__(
        self,
        scene: RGBD | Layers,
        count: int = 2,
        *,
        divergence_percent: float | None = None,
        baseline_mm: float | None = None,
        convergence: float | None = None,
        converge_at: tuple[float, float] | None = None,
        convergence_m: float | None = None,
        keep: Eye | None = None,
        edges: Literal["snap", "keep"] = "snap",
        inpainter: Inpainter | None = None,
        supersample: int = 1,
        device: str = "auto",
        seed: int = 0,
    ) -> None:
        if not (isinstance(count, int | np.integer) and 2 <= count <= _MOST_VIEWS):
            raise InputError(f"views must be a whole number from 2 to {_MOST_VIEWS}, got {count!r}")
        if keep not in (None, "left", "right"):
            raise InputError(f"keep must be 'left', 'right' or None, got {keep!r}")
        self._scene, self._options = scene, (inpainter, supersample, device, seed)
        camera, self._inverse_depth, is_metric = _surface(scene, edges)
        self.rig = plan_rig(
            self._inverse_depth,
            camera,
            is_metric=is_metric,
            divergence_percent=divergence_percent,
            baseline_mm=baseline_mm,
            convergence=convergence,
            converge_at=converge_at,
            convergence_m=convergence_m,
        )
        first = {None: -0.5, "left": 0.0, "right": -1.0}[keep]
        self.places = tuple(first + number / (count - 1) for number in range(count))

    def __len__(self) -> int:
        return len(self.places)

    def __iter__(self) -> Iterator[ImageArray]:
        inpainter, supersample, device, seed = self._options
        scene = self._scene
        reach, shift = self.rig.reach_px(self.places)
        if isinstance(scene, RGBD):
            scene = layers_of(
                scene.image,
                self._inverse_depth,
                self.rig.camera,
                is_metric=self.rig.is_metric,
                reach_px=reach,
                margin_px=min(math.ceil(shift) + 2, max(scene.size_wh)),
                motion=(1, 0),
                inpainter=inpainter,
                seed=seed,
            )
        elif reach > 1.001 * scene.reach_px:
            raise InputError(
                f"these eyes uncover {reach:.1f} pixels and the layers reach {scene.reach_px:.1f}; make them "
                "with layers(scene, reach_px=...), or bring the eyes together"
            )
        renderer = ViewRenderer(scene, supersample=supersample, device=device)
        for place in self.places:
            yield renderer.render(*self.rig.view(place)).image

    def windowed(self, left: ImageArray, right: ImageArray) -> tuple[ImageArray, ImageArray]:
        """Black out what crosses the edge of the window that both eyes look through.

        What stands d pixels in front of the screen at the left border would be seen by the left eye only,
        d pixels wide; black there puts that edge of the window as far in front of the screen. The same at the
        right border, with the eyes exchanged.
        """
        width = self._inverse_depth.shape[1]
        strip = max(1, round(_BORDER_SHARE * width))
        borders = self._inverse_depth[:, :strip], self._inverse_depth[:, -strip:]
        wide = [max(0, math.ceil(self.rig.parallax_px(np.percentile(q, _NEAR_PERCENTILE)))) for q in borders]
        left, right = left.copy(), right.copy()
        left[:, : wide[0]] = 0
        right[:, width - wide[1] :] = 0
        return left, right


_BORDER_SHARE = 0.02
"""Of the width: what counts as standing at a border."""
_NEAR_PERCENTILE = 98.0


def _surface(scene: RGBD | Layers, edges: Literal["snap", "keep"]) -> tuple[Camera, FloatMap, bool]:
    """Give a photo's camera, the inverse depth of its pixels, and whether that is in 1/m."""
    if isinstance(scene, RGBD):
        return scene.camera, inverse_depth_of(scene, edges=edges), scene.depth.is_metric
    if not isinstance(scene, Layers):
        raise InputError(f"stereo needs an RGBD or Layers, got {type(scene).__name__}")
    m = scene.margin_px
    height, width = scene.photo.shape[:2]
    inside = scene.front.inverse_depth[m : m + height, m : m + width]
    return scene.camera.cropped(m, m, width, height), inside, scene.is_metric
