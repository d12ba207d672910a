"""The verbs that span rooms: `estimate` and `save`, and what commands need around them.

Verbs of one room (`point_cloud`, `camera_for`, `load_image` ...) live there and are re-exported by
`depth3d` under the same name.
"""

from __future__ import annotations

import gc
import threading
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from functools import lru_cache
from pathlib import Path
from typing import TYPE_CHECKING, Any, cast

import numpy as np

from depth3d.calibrate.calibration import Calibration
from depth3d.core.camera import Camera
from depth3d.core.cloud import PointCloud
from depth3d.core.depth import DepthMap
from depth3d.core.mesh import Mesh
from depth3d.core.stages import stage, waited_for
from depth3d.errors import FileError, InputError, UnreadableFileError
from depth3d.estimate.preprocess import DEFAULT_MAX_TOKENS
from depth3d.io.atomic import check_writable, writing
from depth3d.io.pictures import open_file
from depth3d.io.video_frame import VideoFrame
from depth3d.io.video_input import VideoFile
from depth3d.render.sheets import Layers

if TYPE_CHECKING:
    from depth3d.core.arrays import ImageArray
    from depth3d.estimate.estimator import DepthEstimator
    from depth3d.estimate.steady_depth import TemporalMode

_LARGEST_CALIBRATION = 64 << 20  # one by a dense depth map lists tens of thousands of references

__all__ = [
    "check_output",
    "estimate",
    "estimate_video",
    "load_calibration",
    "loaded_estimator",
    "make_directory",
    "save",
]


def estimate(
    image: ImageArray,
    *,
    model: str | Path = "auto",
    device: str = "auto",
    dtype: str = "auto",
    backend: str = "auto",
    input_size: int | None = None,
    max_tokens: int = DEFAULT_MAX_TOKENS,
) -> DepthMap:
    """Estimate the depth of one image.

    The network stays loaded for the next call with the same options. For folders, batches and
    videos use `DepthEstimator` itself.

    Args:
        image: (H, W, 3) uint8 sRGB, upright.
        model: A name of `depth3d models`, a hub id, a directory, or a `.pth` file. `auto` is Depth
            Anything V2 Small where it is cached or can be fetched, else `mini`, which comes with
            depth3d; a warning says so.
        device: `auto`, `cpu`, `cuda`, `cuda:1` or `mps`.
        dtype: `auto`, `float32`, `float16`, `bfloat16`, or `int8` (CPUs; see `DepthEstimator`).
        backend: What runs the network: `auto`, `torch`, `compile`, `onnx`, `openvino` or `tensorrt`.
        input_size: Shorter side in pixels at which the network sees the image (of `mini` the longer one);
            None is what it was made for.
        max_tokens: Bound on the work for long pictures; see `DepthEstimator.from_pretrained`.

    Returns:
        A map of the image's own size: relative disparity, or metres from a metric model.

    Raises:
        InputError: The image is not (H, W, 3) uint8, an option is out of range, or the backend's package is
            missing.
        ModelError: The network can't be had or can't be loaded.
        DeviceError: The device is not there, or the backend can't run on it.
    """
    options = {"device": device, "dtype": dtype, "backend": backend}
    return loaded_estimator(model, **options, input_size=input_size, max_tokens=max_tokens)(image)


def estimate_video(
    frames: Iterable[ImageArray],
    *,
    model: str | Path = "auto",
    temporal: TemporalMode = "offline",
    device: str = "auto",
    dtype: str = "auto",
    backend: str = "auto",
    input_size: int | None = None,
    max_tokens: int = DEFAULT_MAX_TOKENS,
) -> Iterator[DepthMap]:
    """Estimate the depth of the frames of a film, without flicker, as they come.

    Args:
        frames: (H, W, 3) uint8 sRGB, all of one size, in order, in any number: `(frame.image for frame in
            film.frames())` of an opened film.
        model: As for `estimate`.
        temporal: `offline` looks half a second ahead, `causal` only back, for what is live, and `off`
            estimates each frame alone. See `SteadyDepth`.
        device: As for `estimate`.
        dtype: As for `estimate`.
        backend: As for `estimate`.
        input_size: As for `estimate`.
        max_tokens: As for `estimate`.

    Returns:
        One map a frame, in order. The network is loaded at once, frames are taken as maps are asked for.

    Raises:
        InputError: A frame is no image, or not of the size of the first; an argument is out of range.
        ModelError: The network can't be had or can't be loaded.
        DeviceError: The device is not there, or the backend can't run on it.
    """
    from depth3d.estimate.steady_depth import SteadyDepth

    options = {"device": device, "dtype": dtype, "backend": backend}
    estimator = loaded_estimator(model, **options, input_size=input_size, max_tokens=max_tokens)
    return SteadyDepth(estimator, mode=temporal).stream(frames)


def loaded_estimator(model: str | Path, **options: Any) -> DepthEstimator:
    """Load an estimator, or hand out the one that was loaded last with the same options.

    Threads that ask at the same time share one load.
    """
    with waited_for(_LOADING):
        return _loaded(model, **options)


_LOADING = threading.Lock()


@contextmanager
def _collecting_later() -> Iterator[None]:
    """Look for garbage later: what PyTorch's import makes is none, and the search a tenth of its time."""
    was_enabled = gc.isenabled()
    gc.disable()
    try:
        yield
    finally:
        if not gc.get_freeze_count():
            gc.freeze()
            gc.unfreeze()  # all that there is now is old: looked at when it has grown by a quarter
        if was_enabled:
            gc.enable()


@lru_cache(maxsize=1)
@stage("loading the network")
@_collecting_later()
def _loaded(model: str | Path, **options: Any) -> DepthEstimator:
    from depth3d.estimate.quick_estimator import quick_estimator

    if quick := quick_estimator(model, **options):
        return cast("DepthEstimator", quick)  # it is called alike
    from depth3d.estimate.estimator import DepthEstimator

    estimator = DepthEstimator.from_pretrained(model, **options)
    if estimator.backend in ("openvino", "onnx") and (quick := quick_estimator(model, **options)):
        return cast("DepthEstimator", quick)  # the first time, too: or its maps would differ by a rounding
    return estimator


def check_output(path: Path, source: Path, *, overwrite: bool) -> None:
    """Check, before any long work, that a file can be written and is not the one that is read.

    Args:
        path: The file to be written.
        source: The file that is read; it need not be there.
        overwrite: Whether an existing file may be replaced.

    Raises:
        FileError: It can't be written, or it exists and `overwrite` is False.
        InputError: Both are the same file.
    """
    check_writable(path, overwrite=overwrite)
    try:
        same = path.samefile(source)
    except OSError:  # one of them is not there
        return
    if same:
        raise InputError(f"{path} is the input itself; give another output")


def make_directory(path: str | Path) -> Path:
    """Create a directory, with its parents, if it is not there.

    Raises:
        FileError: It can't be created, or a file is in its place.
    """
    path = Path(path)
    try:
        if path.exists() and not path.is_dir():
            raise FileError(f"{path} is no directory, and one is needed; give another name")
        path.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        if isinstance(error, FileError):
            raise
        raise FileError(f"can't create the directory {path}: {error.strerror}; choose another one") from None
    return path


def load_calibration(path: str | Path) -> Calibration:
    """Read a calibration that `save` wrote.

    Raises:
        FileError: The file can't be read.
        InputError: It is no calibration.
    """
    with open_file(path) as file:
        data = file.read(_LARGEST_CALIBRATION + 1)
    if len(data) > _LARGEST_CALIBRATION:
        raise UnreadableFileError(f"{path} is too large for a calibration; check the name")
    try:
        return Calibration.from_json(data.decode("utf-8-sig"))
    except UnicodeDecodeError:
        raise UnreadableFileError(f"{path} is no calibration: it is not text; check the name") from None
    except InputError as error:
        raise InputError(f"{path}: {error}") from None


def save(
    thing: ImageArray
    | DepthMap
    | PointCloud
    | Mesh
    | Camera
    | Calibration
    | Layers
    | Iterator[ImageArray | VideoFrame]
    | Sequence[ImageArray | VideoFrame]
    | VideoFile,
    path: str | Path,
    *,
    overwrite: bool = True,
    **options: Any,
) -> None:
    """Write anything that depth3d makes, in the format that the suffix names.

    The file appears whole or not at all.

    Args:
        thing: An image, a `DepthMap`, a `PointCloud`, a `Mesh`, a `Camera`, a `Calibration`, `Layers`, or the
            frames of a film: a list, a generator such as `rack_focus` returns, of which one is held at a
            time, or what `open_video` returns.
        path: Where to. Frames become a video (.mp4, .mov, .mkv, .webm), an animation (.gif, .webp), or the
            pictures in a folder.
        overwrite: Whether an existing file may be replaced.
        **options: Handed on: `quality` of images; `camera`, `provenance` and `png_scale` of depth;
            `frame`, `unit`, `ascii` and `comments` of clouds; `frame`, `unit`, `texture_format` and
            `comments` of meshes; `fps`, `codec`, `quality`, `loops` and `sound` of films (see `save_video`);
            `pivot`, `strength`, `title`, `alt` and `max_side_px` of layers as a page (.html); `silhouettes`
            of layers as .glb; `max_faces` of both.

    Raises:
        InputError: A thing that has no file format.
        UnsupportedFormatError: A suffix that does not suit the thing.
        FileError: The file can't be written.
    """
    if isinstance(thing, DepthMap):
        from depth3d.io.depth_files import save_depth

        save_depth(thing, path, overwrite=overwrite, **options)
    elif isinstance(thing, PointCloud):
        from depth3d.io.geometry_files import save_cloud

        save_cloud(thing, path, overwrite=overwrite, **options)
    elif isinstance(thing, Mesh):
        from depth3d.io.mesh_files import save_mesh

        save_mesh(thing, path, overwrite=overwrite, **options)
    elif isinstance(thing, Camera):
        from depth3d.io.camera_files import save_camera

        save_camera(thing, path, overwrite=overwrite, **options)
    elif isinstance(thing, Layers):
        from depth3d.layer_files import save_layers

        save_layers(thing, path, overwrite=overwrite, **options)
    elif isinstance(thing, Calibration):
        with writing(path, overwrite=overwrite) as partial:
            partial.write_text(thing.to_json(), encoding="utf-8")
    elif isinstance(thing, np.ndarray):
        from depth3d.io.images import save_image

        save_image(thing, path, overwrite=overwrite, **options)
    elif isinstance(thing, Iterator | list | tuple | VideoFile):
        from depth3d.io.video import save_video

        save_video(thing, path, overwrite=overwrite, **options)
    else:
        raise InputError(
            f"can't save a {type(thing).__name__}; give an image, DepthMap, PointCloud, Mesh, Camera, "
            "Calibration, Layers or frames of a video"
        )
