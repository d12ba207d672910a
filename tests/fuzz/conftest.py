"""Small valid files of every format that is read, and the server that has them broken and read."""

from __future__ import annotations

import io
import json
import os
import select
import struct
import subprocess
import sys
import zipfile
from pathlib import Path

import numpy as np
import pytest

WIDTH, HEIGHT = 24, 16


def _photo():
    v, u = np.mgrid[:HEIGHT, :WIDTH]
    return np.stack([10 * u, 15 * v, 6 * (u + v)], axis=-1).astype(np.uint8)


def _depth_m():
    v, u = np.mgrid[:HEIGHT, :WIDTH]
    return (1 / (0.3 + 0.005 * u + 0.01 * v)).astype(np.float32)


def _picture(format_, pixels=None, **options):
    import pillow_heif
    from PIL import Image

    pillow_heif.register_heif_opener()
    buffer = io.BytesIO()
    Image.fromarray(_photo() if pixels is None else pixels).save(buffer, format_, **options)
    return buffer.getvalue()


def _exif_jpeg():
    from PIL import Image

    exif = Image.Exif()
    exif[0x0112], exif[0x010F] = 6, "Maker"
    inner = exif.get_ifd(0x8769)
    inner[0xA405], inner[0x920A], inner[0xA20E] = 28, 4.25, 3000.0
    return _picture("JPEG", exif=exif)


def _gdepth_jpeg():
    import base64

    codes = base64.b64encode(_picture("PNG", _photo()[..., 0])).decode()
    gdepth = "http://ns.google.com/photos/1.0/depthmap/"
    xmp = (
        '<x:xmpmeta xmlns:x="adobe:ns:meta/"><rdf:RDF xmlns:rdf="http://www.w3.org/1999/02/22-rdf-syntax-ns#">'
        f'<rdf:Description xmlns:GDepth="{gdepth}" GDepth:Format="RangeInverse" GDepth:Near="0.5" '
        f'GDepth:Far="9" GDepth:Units="m" GDepth:Mime="image/png" GDepth:Data="{codes}"/>'
        "</rdf:RDF></x:xmpmeta>"
    ).encode()
    payload = b"http://ns.adobe.com/xap/1.0/\0" + xmp
    plain = _picture("JPEG")
    return plain[:2] + b"\xff\xe1" + struct.pack(">H", len(payload) + 2) + payload + plain[2:]


def _npy(array):
    buffer = io.BytesIO()
    np.save(buffer, array)
    return buffer.getvalue()


def _zip(members, *, packed=False):
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w", zipfile.ZIP_DEFLATED if packed else zipfile.ZIP_STORED) as archive:
        for name, data in members.items():
            archive.writestr(name, data)
    return buffer.getvalue()


_RECORD = json.dumps({"format": "depth3d-depth", "version": 1, "kind": "metric"})
_TRAJECTORY = {
    "tum.txt": "0.1 0 0 0 0 0 0 1\n0.2 0.1 0 0 0 0 0 1\n",
    "kitti.txt": "1 0 0 0 0 1 0 0 0 0 1 0\n1 0 0 0.1 0 1 0 0 0 0 1 0\n",
    "redwood.log": "0 0 1\n1 0 0 0\n0 1 0 0\n0 0 1 0\n0 0 0 1\n1 1 2\n1 0 0 1\n0 1 0 0\n0 0 1 0\n0 0 0 1\n",
    "images.txt": "# Number of images: 1\n1 1 0 0 0 0.1 0.2 0.3 1 a.png\n10 20 1 11 21 -1\n",
    "transforms.json": json.dumps(
        {
            "w": 24,
            "h": 16,
            "fl_x": 20,
            "frames": [{"file_path": "a.png", "transform_matrix": np.eye(4).tolist()}],
        }
    ),
}
_CAMERAS = {
    "cameras.txt": "# Camera list\n1 PINHOLE 24 16 20 20 12 8\n2 OPENCV 24 16 20 20 12 8 0.1 0 0 0\n",
    "ros.yaml": (
        "image_width: 24\nimage_height: 16\ncamera_name: c\ncamera_matrix:\n  rows: 3\n  cols: 3\n"
        "  data: [20, 0, 12, 0, 20, 8, 0, 0, 1]\ndistortion_model: plumb_bob\ndistortion_coefficients:\n"
        "  rows: 1\n  cols: 5\n  data: [0.1, 0, 0, 0, 0]\n"
    ),
    "opencv.yaml": (
        "%YAML:1.0\n---\nimage_width: 24\nimage_height: 16\ncamera_matrix: !!opencv-matrix\n   rows: 3\n"
        "   cols: 3\n   dt: d\n   data: [ 20., 0., 12., 0., 20., 8., 0., 0., 1. ]\n"
    ),
    "opencv.xml": (
        '<?xml version="1.0"?>\n<opencv_storage>\n<image_width>24</image_width>\n'
        "<image_height>16</image_height>\n"
        '<camera_matrix type_id="opencv-matrix"><rows>3</rows><cols>3</cols><dt>d</dt>'
        "<data>20. 0. 12. 0. 20. 8. 0. 0. 1.</data></camera_matrix>\n</opencv_storage>\n"
    ),
    "open3d.json": json.dumps(
        {"width": 24, "height": 16, "intrinsic_matrix": [20, 0, 0, 0, 20, 0, 12, 8, 1]}
    ),
    "camera.json": json.dumps(
        {"format": "depth3d-camera", "version": 1, "width": 24, "height": 16, "fx": 20, "fy": 20, "cx": 12,
         "cy": 8, "distortion": [0.1]}
    ),
}  # fmt: skip
_CAMERAS_BIN = struct.pack("<Q", 1) + struct.pack("<iiQQ4d", 1, 1, 24, 16, 20, 20, 12, 8)
_STL = b"depth3d".ljust(80) + struct.pack("<I", 2) + 2 * struct.pack("<12fH", *range(12), 0)
_CALIBRATION = json.dumps(
    {"format": "depth3d-calibration", "version": 1, "scale": 1.5, "shift": 0.1, "method": "fit",
     "covariance": [[0.1, 0], [0, 0.1]], "inliers": [True, False], "residuals_m": [0.1, None],
     "references": [{"kind": "anchor"}], "quality": {"n": 2}, "notes": ["a"]}
)  # fmt: skip


def _manifest():
    """Let a run of two files say what it plans and what it has made."""
    import tempfile

    from depth3d.io.manifest import MANIFEST_NAME, Manifest, record_of_outputs

    with tempfile.TemporaryDirectory() as folder:
        outputs = [Path(folder) / name for name in ("a.npz", "b.npz")]
        manifest = Manifest(Path(folder), {"command": "estimate", "model": "mini"})
        manifest.plan(outputs)
        for path in outputs:
            path.write_text("depth")
            manifest.append(
                {"input": "a.jpg", "inputs": ["00"], "output": path.name,
                 "outputs": record_of_outputs({path: path}, Path(folder)),
                 "facts": {"photo": "a.jpg"}, "summary": "done", "notes": ["a note"]}
            )  # fmt: skip
        return (Path(folder) / MANIFEST_NAME).read_bytes()


def _geometry():
    """Write a cloud and a mesh in every format with depth3d itself, and give their bytes."""
    import tempfile

    from depth3d.core.cloud import PointCloud
    from depth3d.core.mesh import Mesh
    from depth3d.io.geometry_files import save_cloud
    from depth3d.io.mesh_files import save_mesh

    rng = np.random.default_rng(0)
    points = rng.normal(size=(9, 3)).astype(np.float32)
    colors = rng.integers(0, 256, (9, 3), dtype=np.uint8)
    faces = rng.permutation(9).reshape(3, 3).astype(np.int32)
    uv = rng.uniform(size=(9, 2)).astype(np.float32)
    textured = Mesh(points, faces, uv, _photo())
    found = {}
    with tempfile.TemporaryDirectory() as folder:
        for name, ascii_ in (("c.ply", False), ("text.ply", True), ("c.pcd", False), ("text.pcd", True),
                             ("c.xyz", False), ("c.npz", False)):  # fmt: skip
            save_cloud(PointCloud(points, colors, points), Path(folder) / name, ascii=ascii_)
        for name in ("m.glb", "m.obj", "m.ply", "m.stl", "m.3mf"):
            save_mesh(textured, Path(folder) / name)
        for path in Path(folder).iterdir():
            found[path.name] = path.read_bytes()
    return found


def _checkpoints():
    import torch
    from safetensors.torch import save

    tensors = {"pretrained.cls_token": torch.zeros(1, 1, 8), "depth_head.a": torch.ones(3, 3)}
    buffer = io.BytesIO()
    torch.save(tensors, buffer)
    old = io.BytesIO()
    torch.save(tensors, old, _use_new_zipfile_serialization=False)
    return {"w.safetensors": save(tensors), "w.pth": buffer.getvalue(), "old.pth": old.getvalue()}


def _film(suffix, codec, pixels="yuv420p"):
    import av

    buffer = io.BytesIO()
    with av.open(buffer, "w", format={"mp4": "mp4", "webm": "webm", "mkv": "matroska"}[suffix]) as film:
        stream = film.add_stream(codec, rate=10)
        stream.width, stream.height, stream.pix_fmt = 32, 16, pixels
        for i in range(4):
            frame = av.VideoFrame.from_ndarray(np.full((16, 32, 3), 60 * i, np.uint8), "rgb24")
            film.mux(stream.encode(frame))
        film.mux(stream.encode())
    return buffer.getvalue()


def _animation(format_):
    from PIL import Image

    frames = [Image.fromarray(np.roll(_photo(), 3 * i, axis=1)) for i in range(3)]
    buffer = io.BytesIO()
    frames[0].save(buffer, format_, save_all=True, append_images=frames[1:], duration=100)
    return buffer.getvalue()


@pytest.fixture(scope="session")
def seeds():
    """Name -> bytes of a small valid file; the suffix of the name is that of the format."""
    depth = _depth_m()
    millimetres = np.rint(1000 * depth).astype(np.uint16)
    exr, pfm, own_png, own_tiff = (_saved_depth(suffix) for suffix in (".exr", ".pfm", ".png", ".tif"))
    found = {
        "photo.jpg": _picture("JPEG"),
        "progressive.jpg": _picture("JPEG", progressive=True),
        "exif.jpg": _exif_jpeg(),
        "gdepth.jpg": _gdepth_jpeg(),
        "photo.png": _picture("PNG"),
        "palette.gif": _picture("GIF", _photo()[..., 0]),
        "photo.webp": _picture("WEBP"),
        "photo.bmp": _picture("BMP"),
        "photo.tif": _picture("TIFF", compression="tiff_lzw"),
        "photo.heic": _picture("HEIF"),
        "photo.avif": _picture("AVIF"),
        "millimetres.png": _picture("PNG", millimetres),
        "depth.exr": exr,
        "depth.pfm": pfm,
        "own.png": own_png,
        "own.tif": own_tiff,
        "depth.npy": _npy(depth),
        "depth.npz": _zip({"depth.npy": _npy(depth), "depth3d.npy": _npy(np.array(_RECORD))}),
        "foreign.npz": _zip({"a.npy": _npy(depth), "b.npy": _npy(depth[0])}, packed=True),
        "poses.npy": _npy(np.stack([np.eye(4), np.eye(4)])),
        "cameras.bin": _CAMERAS_BIN,
        "foreign.stl": _STL,
        "calibration.json": _CALIBRATION.encode(),
        "depth3d_manifest.jsonl": _manifest(),
        "film.mp4": _film("mp4", "libx264"),
        "film.webm": _film("webm", "libvpx-vp9"),
        "film.mkv": _film("mkv", "ffv1"),
        "film.gif": _animation("GIF"),
        "film.webp": _animation("WEBP"),
    }
    found |= {name: text.encode() for name, text in (_TRAJECTORY | _CAMERAS).items()}
    return found | _geometry() | _checkpoints()


def _saved_depth(suffix):
    import tempfile

    from depth3d.core.depth import DepthMap
    from depth3d.io.depth_files import save_depth

    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / f"d{suffix}"
        save_depth(DepthMap(_depth_m(), "metric"), path)
        return path.read_bytes()


class ForkServer:
    """`fork_server.py`, running; asked from here, because a fork of this process would lack its threads."""

    def __init__(self):
        program = str(Path(__file__).with_name("fork_server.py"))
        self.process = subprocess.Popen(
            [sys.executable, "-W", "ignore", program],  # libraries say much about broken files
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
            env=os.environ | {"OPENBLAS_NUM_THREADS": "1"},  # its import starts the others
        )
        self.threads = self._answer(within_s=240)["threads"]

    def complaint(self, **job):
        """Have a file broken and read (the fields of `Job`); say what went wrong, or nothing."""
        self.process.stdin.write(json.dumps(job) + "\n")
        self.process.stdin.flush()
        return self._answer(within_s=job["limit_s"] + 20)["complaint"]

    def _answer(self, within_s):
        if not select.select([self.process.stdout], [], [], within_s)[0]:
            self.process.kill()
        line = self.process.stdout.readline()
        assert line, f"the fork server ended with {self.process.wait()}"
        return json.loads(line)

    def close(self):
        self.process.stdin.close()
        self.process.stdout.close()
        try:
            self.process.wait(10)
        except subprocess.TimeoutExpired:
            self.process.kill()
            self.process.wait()


@pytest.fixture(scope="session")
def fork_server():
    if not sys.platform.startswith("linux"):
        pytest.skip("a crash must not end the tests, and that takes fork() and /proc")
    server = ForkServer()
    yield server
    server.close()
