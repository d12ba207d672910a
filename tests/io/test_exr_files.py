"""Depth in EXR: FFmpeg reads ours, and we read FFmpeg's and ones made by hand."""

import struct
import zlib

import numpy as np
import pytest

from depth3d.core.depth import DepthMap
from depth3d.errors import UnreadableFileError, UnsupportedFormatError
from depth3d.io.depth_files import load_depth, save_depth


def test_ffmpeg_reads_our_exr(tmp_path):
    """FFmpeg knows colours and luminance only, so the channel is renamed from Z to Y for it."""
    import av

    values = np.random.default_rng(0).uniform(0.1, 1, (16, 24)).astype(np.float32)
    save_depth(DepthMap(values, "metric"), tmp_path / "d.exr")
    data = (tmp_path / "d.exr").read_bytes()
    (tmp_path / "y.exr").write_bytes(data.replace(b"chlist\0\x13\0\0\0Z", b"chlist\0\x13\0\0\0Y", 1))
    with av.open(str(tmp_path / "y.exr")) as container:
        frame = next(container.decode(video=0))
    assert frame.format.name == "grayf32le"
    plane = np.frombuffer(frame.planes[0], np.float32).reshape(16, -1)[:, :24]
    np.testing.assert_array_equal(plane, values)


@pytest.mark.parametrize("compression", ["none", "zip1", "zip16"])
@pytest.mark.parametrize("number", ["float", "half"])
def test_exr_of_ffmpeg_is_read(tmp_path, compression, number):
    import av

    v, u = np.mgrid[:37, :24]  # 37 rows: two whole blocks of 16 and a short one
    values = (0.25 + u / 64 + v / 32).astype(np.float32)  # exact in half as well
    if av.codec.Codec("exr", "w") is None:
        pytest.skip("this FFmpeg writes no EXR")
    path = tmp_path / "d.exr"
    with av.open(str(path), "w", format="image2", options={"update": "1"}) as container:
        stream = container.add_stream("exr", rate=1)
        stream.width, stream.height, stream.pix_fmt = 24, 37, "grayf32le"
        stream.options = {"compression": compression, "format": number}
        frame = av.VideoFrame(24, 37, "grayf32le")
        padded = np.zeros((37, frame.planes[0].line_size // 4), np.float32)
        padded[:, :24] = values
        frame.planes[0].update(padded.tobytes())
        container.mux(stream.encode(frame))
        container.mux(stream.encode(None))
    np.testing.assert_array_equal(load_depth(path, kind="metric").values, values)


def exr_of(channels, *, window=(0, 0, 2, 1), compression=0, flags=0, zipped=False):
    """Make an EXR of two rows with several channels, by hand."""

    def attribute(name, kind, value):
        return name + b"\0" + kind + b"\0" + struct.pack("<i", len(value)) + value

    codes = {"u4": 0, "f2": 1, "f4": 2}
    names = sorted(channels)
    listed = b"".join(
        n.encode() + b"\0" + struct.pack("<iB3xii", codes[channels[n].dtype.str[1:]], 0, 1, 1) for n in names
    )
    head = b"\x76\x2f\x31\x01" + struct.pack("<I", 2 | flags)
    head += attribute(b"channels", b"chlist", listed + b"\0")
    head += attribute(b"compression", b"compression", bytes([compression]))
    head += attribute(b"dataWindow", b"box2i", struct.pack("<4i", *window)) + b"\0"
    blocks = []
    for row in range(2):
        raw = b"".join(channels[n][row].tobytes() for n in names)
        if zipped:
            swapped = np.frombuffer(raw[0::2] + raw[1::2], np.uint8).astype(int)
            raw = zlib.compress(np.append(swapped[:1], np.diff(swapped) + 128).astype(np.uint8).tobytes())
        blocks.append(struct.pack("<ii", window[1] + row, len(raw)) + raw)
    offsets = np.cumsum([len(head) + 16, len(blocks[0])]).astype("<u8")
    return head + offsets.tobytes() + b"".join(blocks)


@pytest.mark.parametrize("names", [("B", "G", "R", "Z"), ("R",), ("view.Z", "A"), ("Y", "A")])
@pytest.mark.parametrize("zipped", [False, True])
def test_exr_channels_windows_and_types(tmp_path, names, zipped):
    wanted = next(name for name in ("Z", "view.Z", "Y", "R") if name in names)
    channels = {name: np.full((2, 40), 9, np.float16) for name in names}
    channels[wanted] = np.array([[1] * 40, [2] * 40], np.float32)  # constant rows: they zip well
    data = exr_of(channels, window=(10, -5, 49, -4), compression=2 if zipped else 0, zipped=zipped)
    (tmp_path / "d.exr").write_bytes(data)
    want = channels[wanted]
    np.testing.assert_array_equal(load_depth(tmp_path / "d.exr", kind="metric").values, want)


@pytest.mark.parametrize(
    ("made", "error", "sentence"),
    [
        ({"flags": 0x200}, UnsupportedFormatError, "tiles"),
        ({"flags": 0x1000}, UnsupportedFormatError, "several parts"),
        ({"compression": 4}, UnsupportedFormatError, "compression 4"),
        ({"window": (0, 0, 2**30, 2**30)}, UnreadableFileError, "pixels"),
        ({"window": (0, 0, -5, 0)}, UnreadableFileError, "pixels"),
        ({"window": (0, 7, 2, 9)}, UnreadableFileError, "damaged"),  # more rows than there are
    ],
)
def test_exr_that_cannot_be_read(tmp_path, made, error, sentence):
    (tmp_path / "d.exr").write_bytes(exr_of({"Z": np.ones((2, 3), np.float32)}, **made))
    with pytest.raises(error, match=sentence):
        load_depth(tmp_path / "d.exr", kind="metric")


def test_exr_of_colours_is_no_depth(tmp_path):
    (tmp_path / "d.exr").write_bytes(exr_of({n: np.ones((2, 3), np.float32) for n in "RGB"}))
    with pytest.raises(UnsupportedFormatError, match="B, G, R and none of them is depth"):
        load_depth(tmp_path / "d.exr", kind="metric")
