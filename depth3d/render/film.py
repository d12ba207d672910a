"""`Film`: a photo that a camera moves through, frame by frame."""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import replace
from functools import partial
from typing import Literal

import numpy as np

from depth3d.accel.devices import resolve_device
from depth3d.core.arrays import FloatArray, FloatMap, ImageArray
from depth3d.core.camera import Camera
from depth3d.core.color import to_linear, to_srgb
from depth3d.core.scene import RGBD
from depth3d.errors import InputError
from depth3d.render.defocus import Defocus, gain_of
from depth3d.render.film_focus import FilmFocus
from depth3d.render.film_look import FilmLook, vignette_of
from depth3d.render.film_plan import Border, FilmPlan, check_timing, plan_film
from depth3d.render.focus import Focus, find_focus, scaled_point
from depth3d.render.framing import Framing, frame_size
from depth3d.render.inpainting import Inpainter
from depth3d.render.inverse_depth import inverse_depth_of, span_of
from depth3d.render.layers import layers_of
from depth3d.render.paths import Path
from depth3d.render.resized import resized_scene
from depth3d.render.sheets import Layers
from depth3d.render.stage import Stage, Views
from depth3d.render.timing import Timing
from depth3d.render.views import ViewRenderer, check_supersample

__all__ = ["Film"]

_MOST_BLUR = 0.05
"""Share of the longer side beyond which hidden surfaces are not made wider for the sake of blur."""
_DETAIL = 1.2
"""Pixels of the photo that are kept for each pixel of a frame."""


class Film:
    """A photo, planned to be filmed; its layers are made when the first frame is asked for.

    A photo with more detail than the frames show is made smaller first.

    Args:
        scene: The photo with metric or relative depth, or its layers.
        path: The camera's way.
        timing: When it is where.
        size: As `frame_size` takes it.
        aspect: As `frame_size` takes it.
        pivot: (u, v) in pixels of the photo of the still point; with neither this nor the next two, the
            nearest large thing around the middle.
        pivot_m: Or its distance z in metres.
        pivot_disparity: Or its inverse depth in 1/m, or 1/unit of a relative scene (0.2..1).
        amplitude: As `plan_film` takes it, and so are the next two.
        length: As `plan_film` takes it.
        border: As `plan_film` takes it.
        max_parallax_percent: Largest parallax between neighbouring surfaces, of the longer side of what is
            shown, at amplitude 1.
        look: What is added.
        supersample: Render n x n pixels for each one.
        edges: `snap` moves soft edges of the depth to the photo's, `keep` believes them.
        inpainter: Who fills what was hidden, instead of depth3d itself.
        seed: Of the filling.
        device: `auto`, `cpu`, `cuda`, `cuda:1` or `mps`.

    Raises:
        InputError: Numbers out of range or that contradict each other.
        NeedsMetricError: A distance or a lens for a relative map.
        DeviceError: The device is not there.
    """

    def __init__(
        self,
        scene: RGBD | Layers,
        path: Path,
        timing: Timing,
        *,
        size: int | tuple[int, int] | None = None,
        aspect: float | None = None,
        pivot: tuple[float, float] | None = None,
        pivot_m: float | None = None,
        pivot_disparity: float | None = None,
        amplitude: float = 1.0,
        max_parallax_percent: float = 2.5,
        length: float | None = None,
        border: Border = "crop",
        look: FilmLook | None = None,
        supersample: int = 1,
        edges: Literal["snap", "keep"] = "snap",
        inpainter: Inpainter | None = None,
        seed: int = 0,
        device: str = "auto",
    ) -> None:
        if not isinstance(scene, RGBD | Layers):
            raise InputError(
                f"a film needs an RGBD scene or Layers, got {type(scene).__name__}; make one with RGBD(...)"
            )
        resolve_device(device)
        check_supersample(supersample)
        if not (math.isfinite(max_parallax_percent) and max_parallax_percent > 0):
            raise InputError(
                "max_parallax_percent must be above 0 percent of the longer side, got "
                f"{max_parallax_percent!r}"
            )
        self.look = look or FilmLook()
        self._layers_of = partial(layers_of, inpainter=inpainter, seed=seed)
        self._renderer_of = partial(ViewRenderer, supersample=supersample, device=device)
        self._focus_of = partial(FilmFocus, supersample=supersample, device=device)
        check_timing(path, timing)
        full_wh = _size_of(scene)
        size_wh = frame_size(full_wh, size=size, aspect=aspect)
        if isinstance(scene, RGBD):
            scene = _reduced(scene, _working_share(scene, size_wh, path, amplitude))
        self.scene = scene
        self._layers = scene if isinstance(scene, Layers) else None
        camera, self.inverse_depth, self.is_metric = _surface(scene, edges)
        share = (camera.width / full_wh[0], camera.height / full_wh[1])
        still = find_focus(
            self.inverse_depth,
            is_metric=self.is_metric,
            focus=None if pivot is None else scaled_point(pivot, full_wh, camera.size_wh),
            focus_m=pivot_m,
            focus_disparity=pivot_disparity,
            name="pivot",
        )
        self.photo_share = share
        self.pivot = _in_the_photo(still, share)
        stage = Stage(camera, still.point or (camera.width / 2, camera.height / 2), still.disparity)
        framing = Framing(size_wh, camera.size_wh)
        long_px = max(framing.whole.width, framing.whole.height)
        allowed = max_parallax_percent / 100 * long_px
        self.plan: FilmPlan = plan_film(
            self.inverse_depth,
            stage,
            path,
            timing,
            framing,
            amplitude=amplitude,
            max_parallax_px=allowed,
            max_reach_px=scene.reach_px if isinstance(scene, Layers) else None,
            length=length,
            border=border,
            moments=self._exposed_moments(timing),
        )
        if isinstance(scene, Layers):
            _check_layers(scene, self.plan)
        self._gain = self._gain_of(full_wh)
        self._vignette = vignette_of(size_wh, self.look.vignette) if self.look.vignette else None
        self._renderer: ViewRenderer | None = None
        self._focus: FilmFocus | None = None

    @property
    def layers(self) -> Layers:
        """The photo's layers, made for this film; the first call takes seconds."""
        if self._layers is None:
            assert isinstance(self.scene, RGBD)
            self._layers = self._layers_of(
                self.scene.image,
                self.inverse_depth,
                self.scene.camera,
                is_metric=self.is_metric,
                reach_px=self._reach_px(),
                margin_px=min(max(self.plan.margin_px, 4), max(self.scene.size_wh)),
                motion=self.plan.direction,
            )
        return self._layers

    def prepare(self) -> None:
        """Make the layers now, and get ready to render them."""
        if self._renderer is None:
            self._renderer = self._renderer_of(self.layers)
        if self._gain and self._focus is None:
            self._focus = self._focus_of(self.layers)

    def frames(self) -> Iterator[ImageArray]:
        """Render the frames one after another: (H, W, 3) uint8 each."""
        for number in range(self.plan.timing.frames):
            yield self.frame(number)

    def frame(self, number: int) -> ImageArray:
        """Render one frame.

        Args:
            number: From 0 on.

        Returns:
            (H, W, 3) uint8, read-only.
        """
        self.prepare()
        views = self.plan.views(self.look.moments(number))
        image = self._exposed(views, 0)
        if len(views) > 1:
            light = to_linear(image)
            for k in range(1, len(views)):
                light += to_linear(self._exposed(views, k))
            image = to_srgb(light / len(views) * self._falloff)
        elif self._vignette is not None:
            image = to_srgb(to_linear(image) * self._falloff)
        image.flags.writeable = False
        return image

    def _reach_px(self) -> float:
        """Tell how wide hidden surfaces are needed: for the parallax, and for blur that shows them."""
        far, near = span_of(self.inverse_depth)
        blur_px = self._gain * (near - far)
        if self.look.strength_px:
            blur_px /= self.plan.scale[0]
        return max(self.plan.reach_px + 1, min(blur_px, _MOST_BLUR * max(self.plan.framing.photo_wh)))

    def _exposed_moments(self, timing: Timing) -> FloatArray | None:
        """List all that motion blur shows; without it, frames are all there is."""
        if not self.look.shutter_deg:
            return None
        return np.concatenate([self.look.moments(number) for number in range(timing.frames)])

    @property
    def _falloff(self) -> FloatArray | float:
        return 1.0 if self._vignette is None else self._vignette[..., None]

    def _exposed(self, views: Views, number: int) -> ImageArray:
        assert self._renderer is not None
        camera = views.camera(number, self.plan.framing.size_wh)
        view = self._renderer.render(views.poses[number], camera)
        if not self._gain:
            return view.image
        gain = self._gain * (camera.fx / self.plan.stage.camera.fx if self.look.lens else 1.0)
        nearness = float(self._in_focus.nearness(views)[number])
        assert self._focus is not None
        return self._focus.blurred(view, views.poses[number], camera, Defocus(gain, nearness))

    def _gain_of(self, full_wh: tuple[int, int]) -> float:
        """Compute the radius of blur by inverse depth, in pixels of the photo for a lens, else of a frame."""
        self._in_focus = self.plan.stage
        if not self.look.has_depth_of_field:
            return 0.0
        if self.look.focus is not None:
            u, v = scaled_point(self.look.focus, full_wh, self.plan.stage.camera.size_wh)
            found = find_focus(self.inverse_depth, is_metric=self.is_metric, focus=(u, v))
            self._in_focus = replace(self._in_focus, point=(u, v), inverse_depth=found.disparity)
        return gain_of(
            self.inverse_depth,
            self.plan.stage.camera,
            is_metric=self.is_metric,
            lens=self.look.lens,
            strength_px=self.look.strength_px,
        )


def _size_of(scene: RGBD | Layers) -> tuple[int, int]:
    image = scene.image if isinstance(scene, RGBD) else scene.photo
    return image.shape[1], image.shape[0]


def _surface(scene: RGBD | Layers, edges: Literal["snap", "keep"]) -> tuple[Camera, FloatMap, bool]:
    """Give a photo's camera without distortion, the inverse depth of its pixels, and whether in 1/m."""
    if isinstance(scene, RGBD):
        return scene.camera, inverse_depth_of(scene, edges=edges), scene.depth.is_metric
    m = scene.margin_px
    height, width = scene.photo.shape[:2]
    inside = scene.front.inverse_depth[m : m + height, m : m + width]
    return scene.camera.cropped(m, m, width, height), inside, scene.is_metric


def _in_the_photo(focus: Focus, share: tuple[float, float]) -> Focus:
    """Say in pixels of the photo what was found in a smaller one."""
    if focus.point is None or share == (1, 1):
        return focus
    (u, v), (across, down) = focus.point, share
    why = focus.why
    for form in ("({:.0f}, {:.0f})", "({:g}, {:g})"):
        why = why.replace(form.format(u, v), f"({u / across:.0f}, {v / down:.0f})")
    return replace(focus, point=(u / across, v / down), why=why)


def _working_share(scene: RGBD, size_wh: tuple[int, int], path: Path, amplitude: float) -> float:
    """Choose how much smaller than the photo is what frames of this size are made of."""
    camera = scene.camera
    middle = Stage(camera, (camera.cx, camera.cy), 0.0)
    views = path.views(
        np.linspace(0, 1, 33, dtype=np.float64), middle, 0.0 if path.sized_by_scene else amplitude
    )
    zoom = max(float(views.focal[:, 0].max()) / camera.fx, 1.0)
    share = _DETAIL * zoom * size_wh[0] / Framing(size_wh, scene.size_wh).whole.width
    return share if share < 0.8 else 1.0


def _reduced(scene: RGBD, share: float) -> RGBD:
    scene = RGBD(scene.image, scene.depth, replace(scene.camera, distortion=()))
    width, height = (max(1, round(side * min(share, 1))) for side in scene.size_wh)
    return resized_scene(scene, width, height)


def _check_layers(layers: Layers, plan: FilmPlan) -> None:
    if plan.reach_px > 1.001 * layers.reach_px:
        raise InputError(
            f"the path needs layers of a reach of {plan.reach_px:.1f} pixels, got {layers.reach_px:.1f}; "
            "make them with layers(scene, reach_px=...), or lower the amplitude"
        )
    if plan.margin_px > layers.margin_px and plan.margin_px > 2:
        raise InputError(
            f"the path looks {plan.margin_px} pixels beyond the photo, the layers have {layers.margin_px}; "
            "make them with layers(scene, margin_px=...), or crop the borders (border crop)"
        )
