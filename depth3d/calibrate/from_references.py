"""`equations_from`: what references say about the inverse depth at places of a depth map.

Each kind of reference has its own equation; with r(u, v) the ray of a pixel, scaled to r_z = 1, q = 1/z:

    Anchor          q = 1 / z
    RangeAnchor     q = |r| / range, as the point is z r
    FarPoint        q is anywhere in 0 .. 1 / at_least_m
    KnownSize       q = |r_bottom,y - r_top,y| / height of the object, which stands square to the camera
    KnownLength     |r_1 / q_1 - r_2 / q_2| = length
    CameraHeight    q = (n . r) / height on the floor (`floor.py`)
    DepthSamples    q = 1 / z, many times
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import TypeAlias

import numpy as np
import numpy.typing as npt

from depth3d.calibrate.equations import Constraint, Equations, Observations
from depth3d.calibrate.floor import Floor, find_floor
from depth3d.calibrate.readings import Readings, read_box, read_values
from depth3d.calibrate.references import (
    Anchor,
    CameraHeight,
    DepthSamples,
    FarPoint,
    KnownLength,
    KnownSize,
    RangeAnchor,
    Reference,
)
from depth3d.core.camera import Camera
from depth3d.core.depth import DepthMap
from depth3d.errors import CameraError, InputError

__all__ = ["equations_from"]

_Array: TypeAlias = npt.NDArray[np.float64]

_SIGMA_REL = 0.02
"""Of a measured length or distance whose error is not stated."""
_SIGMA_REL_OF_SIZE = 0.05
_SIGMA_REL_OF_HEIGHT = 0.03
_SIGMA_PITCH_DEG = 1.0
"""Of a stated pitch: about what a phone's own level is good for."""
_POINTING_PX = 1.0
"""How far, one sigma, a hand misses the end of a length."""
_CORNERS = ((0.05, 0.5), (0.95, 0.02), (0.95, 0.98))
"""Three places of the floor, from far to near and from left to right, that fix its plane."""
_SPREAD = ((0.05, 0.05), (0.05, 0.95), (0.5, 0.5), (0.95, 0.05), (0.95, 0.95))
_TELLING_REL = 0.01
"""Share of z by which an assumed camera may be wrong before a note says so."""


def equations_from(
    depth: DepthMap, references: Sequence[Reference], camera: Camera | None, *, seed: int = 0
) -> Equations:
    """Turn references into equations.

    Args:
        depth: The map, relative or metric, of any size.
        references: What is known, in pixels of the photo.
        camera: Intrinsics of the photo, whose size they give. Without them the photo is taken to be of the
            map's size; ranges, lengths, sizes and heights need them.
        seed: Of the search for the floor.

    Returns:
        Rows and conditions, each with the index of its reference, and a note for everything noticed.

    Raises:
        InputError: No reference; one outside the picture or where the map knows nothing; one that needs the
            camera without it; a floor that is not to be found.
        CameraError: The camera belongs to a picture of another shape.
    """
    if not references:
        raise InputError(
            "a calibration needs references; give a distance such as Anchor(u_px, v_px, depth_m)"
        )
    if camera is not None:
        _check_shape(depth, camera)
    reader = _Reader(depth, camera, seed)
    reader.read_pixels(references)
    for index, reference in enumerate(references):
        reader.take(index, reference)
    return reader.equations()


class _Reader:
    """Collects the equations of one map."""

    def __init__(self, depth: DepthMap, camera: Camera | None, seed: int) -> None:
        self.depth = depth
        self.size_wh = depth.size_wh if camera is None else camera.size_wh
        self._camera = camera
        self._seed = seed
        self._readings: list[Readings] = []
        self._rows: list[Observations] = []
        self._constraints: list[Constraint] = []
        self._notes: list[str] = []

    def read_pixels(self, references: Sequence[Reference]) -> None:
        """Read the map at the pixels of all references at once, as each reading costs about a millisecond."""
        pixels = [_pixels_of(reference) for reference in references]
        reading = read_values(self.depth, np.concatenate(pixels), self.size_wh)
        ends = np.cumsum([len(some) for some in pixels])
        self._readings = [
            reading[np.arange(end - len(some), end)] for some, end in zip(pixels, ends, strict=True)
        ]

    def equations(self) -> Equations:
        if self._rows:
            columns = (
                np.concatenate([getattr(rows, name) for rows in self._rows])
                for name in Observations.__dataclass_fields__
            )
            observations = Observations(*columns)
        else:
            none = np.empty(0)
            observations = Observations(none, none, np.empty((0, 2)), none, none, none, np.empty(0, np.intp))
        return Equations(observations, tuple(self._constraints), tuple(dict.fromkeys(self._notes)))

    def take(self, index: int, reference: Reference) -> None:
        match reference:
            case Anchor():
                sigma = reference.sigma_m or _SIGMA_REL * reference.depth_m
                z = reference.depth_m
                self._at_pixel(index, reference, 1 / z, sigma / z**2)
            case RangeAnchor():
                self._take_range(index, reference)
            case FarPoint():
                self._take_far(index, reference)
            case KnownLength():
                self._take_length(index, reference)
            case KnownSize():
                self._take_size(index, reference)
            case CameraHeight():
                self._take_height(index, reference)
            case DepthSamples():
                self._take_samples(index, reference)
            case _:
                raise InputError(
                    f"{reference!r:.60} is no reference; give an Anchor, a KnownLength or another of "
                    "depth3d.calibrate.references"
                )

    # -- one kind each ------------------------------------------------------------------------------

    def _take_range(self, index: int, reference: RangeAnchor) -> None:
        camera = self._camera_for(reference, "turns a range into z")
        x, y, _ = self._ray(camera, reference, reference.u_px, reference.v_px)
        sideways = x**2 + y**2
        # z = range / sqrt(1 + x^2 + y^2), with x and y inverse to the focal length.
        by_focal = sideways / (1 + sideways) * camera.sigma_rel
        if camera.source == "assumed" and by_focal > _TELLING_REL:
            self._notes.append(
                f"{reference!r} rests on an assumed camera: its z may be off by {100 * by_focal:.0f} %; "
                "give --fov-x-deg or --focal-35mm"
            )
        z = reference.range_m / math.sqrt(1 + sideways)
        by_tape = (reference.sigma_m or _SIGMA_REL * reference.range_m) / reference.range_m
        self._at_pixel(index, reference, 1 / z, math.hypot(by_tape, by_focal) / z)

    def _take_far(self, index: int, reference: FarPoint) -> None:
        nearest = 1 / reference.at_least_m
        # Mean and standard deviation of what is evenly likely between 0 and `nearest`.
        self._at_pixel(index, reference, nearest / 2, nearest / math.sqrt(12))

    def _take_length(self, index: int, reference: KnownLength) -> None:
        camera = self._camera_for(reference, "turns pixels into lengths")
        ends = _pixels_of(reference)
        rays = np.array([self._ray(camera, reference, *end) for end in ends.tolist()])
        value = self._of_one_object(reference, self._reading(index, reference))
        length = reference.length_m

        def log_residual(inverse_depth: _Array) -> _Array:
            points = rays / inverse_depth[..., None]
            return np.asarray(np.log(np.linalg.norm(points[..., 0, :] - points[..., 1, :], axis=-1) / length))

        by_tape = (reference.sigma_m or _SIGMA_REL * length) / length
        by_hand = math.sqrt(2) * _POINTING_PX / float(np.linalg.norm(ends[1] - ends[0]))
        sigma = math.hypot(by_tape, by_hand, camera.sigma_rel)
        self._note_assumed(camera)
        self._constraints.append(Constraint(value, self._place(ends), log_residual, sigma, index))

    def _take_size(self, index: int, reference: KnownSize) -> None:
        camera = self._camera_for(reference, "turns pixels into lengths")
        left, top, right, bottom = box = (
            reference.left_px, reference.top_px, reference.right_px, reference.bottom_px,
        )  # fmt: skip
        middle = ((left + right) / 2, (top + bottom) / 2)
        if reference.axis == "height":
            axis, ends = 1, ((middle[0], top), (middle[0], bottom))
        else:
            axis, ends = 0, ((left, middle[1]), (right, middle[1]))
        first, second = (self._ray(camera, reference, *end) for end in ends)
        z = reference.size_m / abs(float(second[axis] - first[axis]))
        self._require_inside(reference, np.reshape(box, (2, 2)))
        reading = self._known(reference, read_box(self.depth, box, self.size_wh))
        by_size = (reference.sigma_m or _SIGMA_REL_OF_SIZE * reference.size_m) / reference.size_m
        self._note_assumed(camera)
        self._observe(index, reading, [middle], [1 / z], [math.hypot(by_size, camera.sigma_rel) / z])

    def _take_height(self, index: int, reference: CameraHeight) -> None:
        camera = self._camera_for(reference, "shows how the floor lies")
        floor = find_floor(
            self.depth, camera, box_px=reference.floor_px, pitch_deg=reference.pitch_deg, seed=self._seed
        )
        height = reference.height_m
        by_height = (reference.sigma_m or _SIGMA_REL_OF_HEIGHT * height) / height
        self._note_assumed(camera)
        self._notes.append(
            f"{reference!r}: the floor is {100 * floor.share:.0f} % of where it was looked for; if that is a "
            "table, give floor_px"
        )
        if reference.pitch_deg is None:
            chosen = floor.places(_CORNERS)
            residual, sigma = floor.height_residual(chosen, height), math.hypot(by_height, camera.sigma_rel)
            value, place = self._on_floor(floor, chosen).value, self._place(floor.uv_px[chosen])
            self._constraints.append(Constraint(value, place, residual, sigma, index))
            return
        chosen = floor.places(_SPREAD)
        q, by_pitch, by_focal = floor.inverse_depths(chosen, height, reference.pitch_deg)
        if not (q > 0).all():
            raise InputError(
                f"{reference!r} puts part of the floor above the horizon; give the pitch in degrees "
                "downwards from the horizontal, or leave it out"
            )
        squares = [by_height * q, by_pitch * math.radians(_SIGMA_PITCH_DEG), by_focal * camera.sigma_rel]
        # However many places, two things are known: the height and the pitch.
        self._observe(
            index, self._on_floor(floor, chosen), floor.uv_px[chosen], q, np.linalg.norm(squares, axis=0),
            share=2 / len(chosen),
        )  # fmt: skip

    def _on_floor(self, floor: Floor, chosen: npt.NDArray[np.intp]) -> Readings:
        """Read the floor's plane, which is surer than any of its pixels."""
        value: _Array = floor.rays[chosen] @ floor.plane
        sigma: _Array = np.full(len(chosen), floor.scatter)
        if self.depth.is_metric:
            value, sigma = 1 / value, sigma / value**2
        none = np.full(len(chosen), np.nan)
        return Readings(value, sigma, np.zeros(len(chosen), dtype=np.bool_), none)

    def _take_samples(self, index: int, samples: DepthSamples) -> None:
        reading = read_values(self.depth, samples.uv_px, self.size_wh, coarse=True)
        inside = np.all((samples.uv_px >= 0) & (samples.uv_px <= self.size_wh), axis=1)
        known = np.isfinite(reading.value)
        kept = np.flatnonzero(known & ~reading.at_edge)
        for count, reason in (
            (np.count_nonzero(~inside), "lie outside the picture"),
            (np.count_nonzero(inside & ~known), "lie where the map knows nothing"),
            (np.count_nonzero(known & reading.at_edge), "lie on the edge between two surfaces"),
        ):
            if count:
                self._notes.append(f"{count} of {len(known)} pixels of {samples.label} {reason}: left out")
        if not len(kept):
            raise InputError(
                f"no pixel of {samples.label} can be used with this map of {self.depth.width}x"
                f"{self.depth.height} pixels: all lie outside the picture, at edges or where the map knows "
                "nothing; check that both show the same picture"
            )
        z = samples.depth_m[kept]
        # sigma_q = sigma_z / z^2, and sigma_z grows with the first, the nought or the second power of z.
        sigma = samples.sigma / z ** {"relative": 1, "constant": 2, "stereo": 0}[samples.error]
        share = 1.0 if samples.independent is None else min(1.0, samples.independent / len(kept))
        self._observe(index, reading[kept], samples.uv_px[kept], 1 / z, sigma, share)

    # -- what they share ----------------------------------------------------------------------------

    def _at_pixel(
        self, index: int, reference: Anchor | RangeAnchor | FarPoint, inverse_depth: float, sigma: float
    ) -> None:
        reading = self._reading(index, reference)
        if reading.at_edge.any():
            self._notes.append(
                f"{reference!r} lies on the edge between two surfaces, so it counts for little; give a pixel "
                "well inside one of them"
            )
        self._observe(index, reading, _pixels_of(reference), [inverse_depth], [sigma])

    def _observe(
        self,
        index: int,
        reading: Readings,
        uv_px: npt.ArrayLike,
        inverse_depth: npt.ArrayLike,
        sigma: npt.ArrayLike,
        share: float = 1.0,
    ) -> None:
        count = len(reading.value)
        self._rows.append(
            Observations(
                value=reading.value,
                value_sigma=reading.sigma,
                place=self._place(uv_px),
                inverse_depth=np.asarray(inverse_depth, dtype=np.float64),
                sigma=np.asarray(sigma, dtype=np.float64),
                share=np.full(count, share),
                reference=np.full(count, index, dtype=np.intp),
            )
        )

    def _place(self, uv_px: npt.ArrayLike) -> _Array:
        return np.asarray(np.asarray(uv_px, dtype=np.float64) * (2 / np.array(self.size_wh)) - 1)

    def _reading(self, index: int, reference: Reference) -> Readings:
        """Give what the map says at the pixels of a reference, all of which must be known."""
        self._require_inside(reference, _pixels_of(reference))
        return self._known(reference, self._readings[index])

    def _require_inside(self, reference: Reference, uv: _Array) -> None:
        if not np.all((uv >= 0) & (uv <= self.size_wh)):
            width, height = self.size_wh
            raise InputError(
                f"{reference!r} lies outside the picture of {width}x{height} pixels; give a pixel inside"
            )

    def _known(self, reference: Reference, reading: Readings) -> Readings:
        if not np.isfinite(reading.value).all():
            raise InputError(
                f"{reference!r} lies where the depth map knows nothing; give a pixel where it has a value"
            )
        return reading

    def _note_assumed(self, camera: Camera) -> None:
        if camera.source == "assumed":
            self._notes.append(
                "lengths, sizes and heights rest on an assumed camera: all distances may be off by "
                f"{100 * camera.sigma_rel:.0f} %; give --fov-x-deg or --focal-35mm"
            )

    def _of_one_object(self, reference: KnownLength, reading: Readings) -> _Array:
        """Choose the surface of each end of a length, which is often at the silhouette of what it measures.

        With another surface within reach of one end, that end takes the one of the two that is nearer, in
        depth, to the other end; with others at both ends, both take the surface in front: silhouettes belong
        to what is in front.
        """
        first, second = ((reading.value[i], reading.other[i]) for i in (0, 1))
        doubtful = np.isfinite(reading.other)
        if not doubtful.any():
            return reading.value
        if doubtful.all():
            in_front = min if self.depth.is_metric else max
            chosen = np.array([in_front(first), in_front(second)])
        else:
            end = int(np.argmax(doubtful))
            candidates, fixed = (first, second)[end], reading.value[1 - end]
            chosen = reading.value.copy()
            chosen[end] = min(candidates, key=lambda value: abs(value - fixed))
        if np.any(chosen != reading.value) or reading.at_edge.any():
            self._notes.append(
                f"{reference!r} ends at the edge of a surface: it was read on the object's side; give "
                "pixels a little inside the object to be sure"
            )
        return chosen

    def _camera_for(self, reference: Reference, purpose: str) -> Camera:
        if self._camera is None:
            raise InputError(
                f"{reference!r} needs the camera, which {purpose}; give --fov-x-deg, --focal-35mm or --camera"
            )
        return self._camera

    def _ray(self, camera: Camera, reference: Reference, u_px: float, v_px: float) -> _Array:
        ray = camera.rays(np.array([u_px, v_px]))
        if not np.isfinite(ray).all():
            raise InputError(
                f"{reference!r} lies where the lens distortion has no inverse; give a pixel nearer the centre"
            )
        return ray


def _pixels_of(reference: Reference) -> _Array:
    """Give the (k, 2) pixels at which a reference needs the map."""
    match reference:
        case Anchor() | RangeAnchor() | FarPoint():
            return np.array([[reference.u_px, reference.v_px]])
        case KnownLength():
            return np.array([[reference.u1_px, reference.v1_px], [reference.u2_px, reference.v2_px]])
        case _:
            return np.empty((0, 2))


def _check_shape(depth: DepthMap, camera: Camera) -> None:
    """Refuse a camera of another shape; a small map's sides are rounded to whole pixels."""
    (width, height), (map_width, map_height) = camera.size_wh, depth.size_wh
    across, down = map_width / width, map_height / height
    if abs(across / down - 1) > 0.02 + 1 / min(map_width, map_height):
        raise CameraError(
            f"the camera belongs to a picture of {width}x{height} pixels and the depth map has "
            f"{map_width}x{map_height}, which is another shape; give the camera of this picture"
        )
