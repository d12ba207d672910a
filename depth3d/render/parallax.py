"""`parallax`: one photo as a short film with depth."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Literal

from depth3d.core.arrays import ImageArray
from depth3d.core.scene import RGBD
from depth3d.errors import InputError
from depth3d.render.film import Film
from depth3d.render.film_look import FilmLook
from depth3d.render.film_plan import Border
from depth3d.render.inpainting import Inpainter
from depth3d.render.keyframes import Keyframes, RecordedPath
from depth3d.render.paths import Orbit, Path
from depth3d.render.sheets import Layers
from depth3d.render.timing import Repeat, Timing

__all__ = ["parallax", "timing_of"]


def parallax(
    scene: RGBD | Layers,
    path: Path | None = None,
    *,
    frames: int = 90,
    repeat: Repeat | None = None,
    easing: str | None = None,
    hold: float = 0.0,
    pivot: tuple[float, float] | None = None,
    pivot_m: float | None = None,
    pivot_disparity: float | None = None,
    amplitude: float = 1.0,
    max_parallax_percent: float = 2.5,
    length: float | None = None,
    border: Border = "crop",
    size: int | tuple[int, int] | None = None,
    aspect: float | None = None,
    look: FilmLook | None = None,
    supersample: int = 1,
    edges: Literal["snap", "keep"] = "snap",
    inpainter: Inpainter | None = None,
    seed: int = 0,
    device: str = "auto",
) -> Iterator[ImageArray]:
    """Move a camera through a photo.

    The still point stays on its pixel: the camera turns towards it (`Orbit`), or the picture shifts behind
    the lens, as view cameras do. Everything nearer and farther moves against it, at amplitude 1 as much as
    the scene bears: neighbouring surfaces by no more than `max_parallax_percent` of the longer side.

    Args:
        scene: A photo with metric or relative depth, or its `layers`. Of a relative scene the nearest part is
            taken to be at 1 and the farthest at 5 units.
        path: The camera's way; None is `Orbit()`.
        frames: How many.
        repeat: `loop`: the film can be repeated without a seam; its last frame is not the first one again;
            `ping-pong`: there and back, seamless too; `once`: from end to end. None is `loop` for paths
            that end where they begin, else `once`.
        easing: One of `depth3d.render.easing.EASINGS`. None is `linear` for `loop` and
            for `Keyframes` and `RecordedPath`, which have their own times, else `sine`.
        hold: 0 to below 1, share of the film at rest: at the end, at both turns of `ping-pong`, at the start
            of `loop`.
        pivot: (u, v) in pixels of the still point. With neither this nor the next two, the nearest large
            thing around the middle.
        pivot_m: Or z in metres of the still plane.
        pivot_disparity: Or its inverse depth in 1/m, in 1/unit of a relative scene.
        amplitude: Factor of the path's size; 1 is what the scene bears.
        max_parallax_percent: Of the longer side of what is shown.
        length: Of a unit of the path in metres (units of a relative scene), instead of the automatic one:
            half the width of a sway, the radius of a circle, the way of a dolly.
        border: `crop` leaves out what the photo does not show in every frame: the picture is as much larger
            as the path needs. `fill` shows all of the photo, and at its borders what is guessed.
        size: (width, height) of the frames, or their longer side. None is the photo's own, at most 1920.
        aspect: Width by height of the frames, cut out around the still point; None is the photo's own.
        look: Blur of motion, depth of field, a vignette.
        supersample: Render n x n pixels for each one, and average them.
        edges: `snap` moves the soft edges of a network's depth to where the photo has them; `keep` believes
            the map.
        inpainter: Fills what was hidden, instead of depth3d's own filling.
        seed: Of the filling.
        device: `auto`, `cpu`, `cuda`, `cuda:1` or `mps`.

    Returns:
        A generator of (H, W, 3) uint8 frames, of which one is held at a time. Arguments are checked, and the
        path is planned, at once.

    Raises:
        InputError: Arguments that are out of range or contradict each other, a path that the scene does not
            bear, or depth that knows no pixel.
        NeedsMetricError: A distance or a lens for a relative map.
        DeviceError: The device is not there.
    """
    path = Orbit() if path is None else path
    film = Film(
        scene,
        path,
        timing_of(path, frames, repeat=repeat, easing=easing, hold=hold),
        size=size,
        aspect=aspect,
        pivot=pivot,
        pivot_m=pivot_m,
        pivot_disparity=pivot_disparity,
        amplitude=amplitude,
        max_parallax_percent=max_parallax_percent,
        length=length,
        border=border,
        look=look,
        supersample=supersample,
        edges=edges,
        inpainter=inpainter,
        seed=seed,
        device=device,
    )
    return film.frames()


def timing_of(
    path: Path, frames: int, *, repeat: Repeat | None = None, easing: str | None = None, hold: float = 0.0
) -> Timing:
    """Fill in how a path is gone along where nothing is said.

    Raises:
        InputError: Something out of range.
    """
    if not isinstance(path, Path):
        raise InputError(f"path must be a way of the camera such as Orbit(), got {path!r}")
    repeat = repeat or ("loop" if path.closed else "once")
    has_times = isinstance(path, Keyframes | RecordedPath)
    easing = easing or ("linear" if has_times or (repeat == "loop" and not hold) else "sine")
    return Timing(frames, repeat, easing, hold)
