"""Videos, read back with PyAV: frames, colours, size, rate; nothing half written."""

import av
import numpy as np
import pytest

from depth3d.errors import FileError, InputError, UnsupportedFormatError
from depth3d.io.video import save_video


def frames(count=6, shape=(48, 64)):
    v, u = np.mgrid[: shape[0], : shape[1]]
    for number in range(count):
        yield np.stack([u * 3, v * 4, np.full(shape, 40 * number)], axis=-1).clip(0, 255).astype(np.uint8)


def read(path):
    with av.open(str(path)) as container:
        stream = container.streams.video[0]
        pictures = [frame.to_ndarray(format="rgb24") for frame in container.decode(video=0)]
        return stream, np.stack(pictures)


def test_frames_come_back(tmp_path):
    seen = []
    assert save_video(frames(), tmp_path / "a.mp4", fps=24, on_frame=seen.append) == 6
    stream, pictures = read(tmp_path / "a.mp4")
    assert seen == [1] * 6
    assert stream.codec_context.name == "h264"
    assert stream.codec_context.pix_fmt == "yuv420p"
    assert stream.average_rate == 24
    error = pictures.astype(float) - np.stack(list(frames()))
    assert np.abs(error).mean() < 2  # 4:2:0 colour and compression
    assert np.abs(error.mean(axis=(1, 2))).max() < 3  # and no shift of colours: BT.709 both ways


def test_odd_sides_are_padded(tmp_path):
    save_video(frames(2, (47, 63)), tmp_path / "a.mp4")
    _, pictures = read(tmp_path / "a.mp4")
    assert pictures.shape == (2, 48, 64, 3)


def test_refusals_leave_nothing_behind(tmp_path):
    with pytest.raises(InputError, match="at least one frame"):
        save_video([], tmp_path / "a.mp4")
    with pytest.raises(InputError, match="one size"):
        save_video([*frames(1), *frames(1, (20, 20))], tmp_path / "a.mp4")
    with pytest.raises(InputError, match="fps"):
        save_video(frames(), tmp_path / "a.mp4", fps=0)
    with pytest.raises(UnsupportedFormatError, match="mp4"):
        save_video(frames(), tmp_path / "a.gif")
    assert not list(tmp_path.iterdir())
    (tmp_path / "a.mp4").write_bytes(b"precious")
    with pytest.raises(FileError, match="already exists"):
        save_video(frames(), tmp_path / "a.mp4", overwrite=False)
    assert (tmp_path / "a.mp4").read_bytes() == b"precious"
