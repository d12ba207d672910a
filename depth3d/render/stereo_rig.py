"""`StereoRig`: where the eyes of a stereo picture are, and how far apart each thing is in their views."""

from __future__ import annotations

import math
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import numpy.typing as npt

from depth3d.core.arrays import FloatMap
from depth3d.core.camera import Camera
from depth3d.errors import InputError, NeedsMetricError
from depth3d.render.focus import find_focus
from depth3d.render.inverse_depth import span_of

__all__ = ["DEFAULT_DIVERGENCE_PERCENT", "StereoRig", "check_eyes", "plan_rig"]

DEFAULT_DIVERGENCE_PERCENT = 2.0

_COMFORTABLE_PERCENT = 3.0
"""Parallax that is fused at ease, of the width: about the thirtieth that stereo photographers go by."""
_EYES_M = 0.063
"""Between the pupils of adults, on the average (Dodgson 2004, doi:10.1117/12.529999)."""
_WIDE_SCREEN_M = 2.0


@dataclass(frozen=True, slots=True, eq=False)
class StereoRig:
    """Parallel cameras on a line to the right of each other, their pictures shifted onto one screen.

    A camera at x sees a surface of inverse depth q shifted by -fx * x * q from where the photo has it. Its
    principal point moves by +fx * x * screen, so that surfaces at `screen` stay where they are: off-axis, as
    if looking through a window, and never toed in, which would make vertical parallax.

    Attributes:
        camera: The photo's, without distortion.
        baseline: From the outermost eye on the left to the one on the right, in metres or units.
        screen: Inverse depth that has no parallax; 0 leaves the cameras as they are.
        span: Inverse depth of the farthest and the nearest part of the scene.
        is_metric: Whether all that is in metres.
    """

    camera: Camera
    baseline: float
    screen: float
    span: tuple[float, float]
    is_metric: bool

    def view(self, place: float) -> tuple[npt.NDArray[np.float64], Camera]:
        """Give an eye's pose (`T_world_camera`) and camera.

        Args:
            place: In baselines from the photo's own place, to the right; 0 is the photo itself, exactly.
        """
        x = place * self.baseline
        pose = np.eye(4)
        pose[0, 3] = x
        return pose, replace(self.camera, cx=self.camera.cx + self.camera.fx * x * self.screen)

    def parallax_px(self, inverse_depth: npt.ArrayLike) -> npt.NDArray[np.float64]:
        """Tell how much farther to the right the outermost left eye sees surfaces than the right one.

        Returns:
            Pixels: above 0 in front of the screen, below 0 behind it.
        """
        q = np.asarray(inverse_depth, dtype=np.float64)
        return np.asarray(self.camera.fx * self.baseline * (q - self.screen), dtype=np.float64)

    def reach_px(self, places: npt.ArrayLike) -> tuple[float, float]:
        """Tell how far surfaces move against each other, and against the frame, from the photo to views.

        Args:
            places: As `view` takes them.
        """
        px = self.camera.fx * self.baseline * float(np.abs(places).max())
        far, near = self.span
        return px * (near - far), px * max(near - self.screen, self.screen - far)

    @property
    def facts(self) -> dict[str, Any]:
        """What it means, in percent of the width, and in metres where there are metres.

        Returns:
            `divergence_percent` (between the nearest and the farthest part), `nearest_percent` and
            `farthest_percent` (above 0 in front of the screen), `widest_screen_m` (beyond which eyes would
            have to turn outwards; infinite if nothing is behind the screen); of metric scenes also
            `baseline_mm` and `convergence_m`.
        """
        far, near = (100 * float(self.parallax_px(q)) / self.camera.width for q in self.span)
        facts: dict[str, Any] = {
            "divergence_percent": near - far,
            "nearest_percent": near,
            "farthest_percent": far,
            "widest_screen_m": _EYES_M / (-far / 100) if far < 0 else math.inf,
        }
        if self.is_metric:
            facts["baseline_mm"] = 1000 * self.baseline
            facts["convergence_m"] = 1 / self.screen if self.screen > 0 else math.inf
        return facts

    @property
    def discomforts(self) -> list[str]:
        """What of it strains the eyes of many, as sentences."""
        facts = self.facts
        told = []
        if facts["divergence_percent"] > _COMFORTABLE_PERCENT:
            told.append(
                f"near and far are {facts['divergence_percent']:.1f} % of the width apart; many can't fuse "
                f"more than {_COMFORTABLE_PERCENT:g} % at ease"
            )
        if facts["widest_screen_m"] < _WIDE_SCREEN_M:
            told.append(
                f"on screens wider than {facts['widest_screen_m']:.1f} m eyes must turn outwards for what is "
                "far away; let the views converge farther away"
            )
        return told


def plan_rig(
    inverse_depth: FloatMap,
    camera: Camera,
    *,
    is_metric: bool,
    divergence_percent: float | None = None,
    baseline_mm: float | None = None,
    convergence: float | None = None,
    converge_at: tuple[float, float] | None = None,
    convergence_m: float | None = None,
) -> StereoRig:
    """Place the eyes.

    Args:
        inverse_depth: (H, W) of the scene, 1/m or 1/unit.
        camera: The photo's; distortion is left out.
        is_metric: Whether it is in 1/m.
        divergence_percent: As for `stereo`, and so are all others.
        baseline_mm: As for `stereo`.
        convergence: As for `stereo`.
        converge_at: As for `stereo`.
        convergence_m: As for `stereo`.

    Raises:
        InputError: As `stereo`.
        NeedsMetricError: As `stereo`.
    """
    check_eyes(
        divergence_percent=divergence_percent,
        baseline_mm=baseline_mm,
        convergence=convergence,
        converge_at=converge_at,
        convergence_m=convergence_m,
    )
    camera = replace(camera, distortion=())
    far, near = span_of(inverse_depth)
    if baseline_mm is not None:
        if not is_metric:
            raise NeedsMetricError(
                "baseline_mm needs metric depth, got a relative map; give divergence_percent "
                "(--divergence-percent) instead, or give the map metres: calibrate it, or use a metric model "
                "(metric-indoor-small)"
            )
        baseline = baseline_mm / 1000
    else:
        percent = DEFAULT_DIVERGENCE_PERCENT if divergence_percent is None else divergence_percent
        relief = near - far
        flat = relief <= 1e-6 * near
        baseline = 0.0 if flat else percent / 100 * camera.width / (camera.fx * relief)
    if convergence_m is not None:
        if not is_metric:
            raise NeedsMetricError(
                "convergence_m needs metric depth, got a relative map; point at what is to be on the screen "
                "(converge_at=(u, v), --converge-at X,Y), or give convergence, 0 far to 1 near"
            )
        screen = 1 / convergence_m
    elif converge_at is not None:
        screen = max(find_focus(inverse_depth, is_metric=is_metric, focus=converge_at).disparity, 0.0)
    elif convergence is None and baseline_mm is not None:
        screen = 0.0
    else:
        screen = far + (0.5 if convergence is None else convergence) * (near - far)
    rig = StereoRig(camera, baseline, screen, (far, near), is_metric)
    most = float(np.abs(rig.parallax_px(rig.span)).max())
    if most > camera.width / 2:
        raise InputError(
            f"the eyes would see parts of the scene {most:.0f} pixels apart in a picture of "
            f"{camera.width}; use a shorter baseline, or converge on the subject (converge_at=(u, v), "
            "--converge-at X,Y)"
        )
    return rig


def check_eyes(
    *,
    divergence_percent: float | None = None,
    baseline_mm: float | None = None,
    convergence: float | None = None,
    converge_at: tuple[float, float] | None = None,
    convergence_m: float | None = None,
) -> None:
    """Check, before any long work, what can be checked without the scene.

    Args:
        divergence_percent: As for `stereo`, and so are all others.
        baseline_mm: As for `stereo`.
        convergence: As for `stereo`.
        converge_at: As for `stereo`.
        convergence_m: As for `stereo`.

    Raises:
        InputError: Two ways to say one thing, or a number out of range.
    """
    _one_of(divergence_percent=divergence_percent, baseline_mm=baseline_mm)
    _one_of(convergence=convergence, converge_at=converge_at, convergence_m=convergence_m)
    if divergence_percent is not None and not 0 < divergence_percent <= 50:
        raise InputError(
            f"divergence_percent must lie between 0 and 50 % of the width, got {divergence_percent!r}; 2 is "
            "usual"
        )
    if baseline_mm is not None and not (math.isfinite(baseline_mm) and baseline_mm > 0):
        raise InputError(f"baseline_mm must be positive millimetres, got {baseline_mm!r}")
    if convergence is not None and not 0 <= convergence <= 1:
        raise InputError(
            f"convergence must lie between 0 (the farthest part on the screen) and 1 (the nearest), got "
            f"{convergence!r}"
        )
    if convergence_m is not None and not convergence_m > 0:
        raise InputError(f"convergence_m must be positive metres (inf for parallel), got {convergence_m!r}")


def _one_of(**given: Any) -> None:
    names = [name for name, value in given.items() if value is not None]
    if len(names) > 1:
        flags = " and ".join(f"{name} (--{name.replace('_', '-')})" for name in names)
        raise InputError(f"{flags} would each set the same thing; give one of them")
