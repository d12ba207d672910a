"""Fixtures of several tests of files: a picture, clouds, meshes, and how two of them are compared."""

from __future__ import annotations

import numpy as np
import pytest

from depth3d.core.camera import Camera
from depth3d.core.cloud import PointCloud
from depth3d.core.mesh import Mesh


@pytest.fixture(scope="module")
def rgb():
    """Every pixel of another colour, so that any swap of rows, columns or channels shows."""
    return np.random.default_rng(3).integers(0, 256, (6, 9, 3), dtype=np.uint8)


@pytest.fixture(scope="session")
def numbers():
    """Tell a camera by its numbers, to compare two of them."""

    def tell(camera: Camera) -> tuple[object, ...]:
        lens = (camera.distortion_model, camera.distortion)
        return (camera.fx, camera.fy, camera.cx, camera.cy, camera.width, camera.height, lens, camera.source)

    return tell


@pytest.fixture(scope="session")
def cloud_of():
    """Make a random cloud of n points."""

    def make(n: int = 300, *, colors: bool = True, normals: bool = True, seed: int = 0) -> PointCloud:
        rng = np.random.default_rng(seed)
        points = rng.normal(size=(n, 3)).astype(np.float32) * np.float32(3.7)
        directions = rng.normal(size=(n, 3))
        directions /= np.linalg.norm(directions, axis=1, keepdims=True)
        return PointCloud(
            points,
            rng.integers(0, 256, size=(n, 3), dtype=np.uint8) if colors else None,
            directions.astype(np.float32) if normals else None,
        )

    return make


@pytest.fixture(scope="session")
def assert_same():
    """Compare every array of two clouds."""

    def compare(got: PointCloud, want: PointCloud) -> None:
        for name in ("points", "colors", "normals"):
            a, b = getattr(got, name), getattr(want, name)
            assert (a is None) == (b is None), name
            if a is not None:
                np.testing.assert_array_equal(a, b, err_msg=name)

    return compare


@pytest.fixture(scope="session")
def mesh_of():
    """Make a slanted sheet of 5 x 7 vertices, wavy in depth, its front towards the camera."""

    def make(*, texture: bool = False, colors: bool = False, normals: bool = False) -> Mesh:
        rng = np.random.default_rng(5)
        rows, cols = 5, 7
        v, u = np.mgrid[:rows, :cols]
        z = 1 / (0.3 + 0.02 * u + 0.04 * v) + rng.uniform(0, 0.1, u.shape)
        vertices = np.stack([(u - 1.3) * z / cols, (v - 2.1) * z / cols, z], axis=-1).reshape(-1, 3)
        i = np.arange(rows * cols).reshape(rows, cols)
        a, b, c, d = (x.ravel() for x in (i[:-1, :-1], i[1:, :-1], i[1:, 1:], i[:-1, 1:]))
        faces = np.concatenate([np.stack([a, b, c], axis=1), np.stack([a, c, d], axis=1)])
        directions = rng.normal(size=vertices.shape)
        directions /= np.linalg.norm(directions, axis=1, keepdims=True)
        return Mesh(
            vertices,
            faces,
            np.stack([(u + 0.5) / cols, (v + 0.5) / rows], axis=-1).reshape(-1, 2) if texture else None,
            rng.integers(0, 256, (3 * rows, 3 * cols, 3), dtype=np.uint8) if texture else None,
            rng.integers(0, 256, (len(vertices), 3), dtype=np.uint8) if colors else None,
            directions.astype(np.float32) if normals else None,
        )

    return make


@pytest.fixture(scope="session")
def write_film():
    """Make a film with PyAV: of gray levels, (H, W, 3) images, or ready `av.VideoFrame`s."""

    def write(
        path,
        pictures,
        *,
        codec="libx264",
        pixels="yuv420p",
        rate=25,
        ticks=None,  # times in units of `base`, else 0, 1, 2 ... in units of 1 / rate
        base=None,
        size_wh=(32, 24),
        options=None,
        setup=None,  # called with the container and the stream
        container_options=None,
        **kind,  # such as format="mpegts"
    ):
        from fractions import Fraction

        import av

        with av.open(str(path), "w", container_options=container_options or {}, **kind) as container:
            stream = container.add_stream(codec, rate=rate, options=options or {})
            stream.pix_fmt = pixels
            context = stream.codec_context
            if base is not None:
                stream.time_base = context.time_base = base
            for number, picture in enumerate(pictures):
                if not isinstance(picture, av.VideoFrame):
                    image = np.asarray(picture, np.uint8)
                    if image.ndim < 3:
                        image = np.broadcast_to(image, (size_wh[1], size_wh[0], 3))
                    made = av.VideoFrame.from_ndarray(np.ascontiguousarray(image), format="rgb24")
                    picture = made.reformat(format=pixels, dst_colorspace="ITU601")
                if not number:
                    stream.width, stream.height = picture.width, picture.height
                    for name in ("color_range", "colorspace", "color_primaries", "color_trc"):
                        setattr(context, name, getattr(picture, name))
                    if setup:
                        setup(container, stream)
                picture.pts = number if ticks is None else ticks[number]
                picture.time_base = base or Fraction(1) / rate
                container.mux(stream.encode(picture))
            container.mux(stream.encode(None))
        return path

    return write
