"""Camera files that are damaged, missing or something else: one sentence says so."""

from __future__ import annotations

import json

import pytest

from depth3d.errors import CameraError, InputError, UnreadableFileError
from depth3d.io.camera_files import load_camera

OURS = json.dumps(
    {"format": "depth3d-camera", "version": 1, "fx": 5, "fy": 5, "cx": 1, "cy": 1, "width": 2, "height": 2}
)

HUGE = "1" + "0" * 400
"""An integer that JSON holds and no float does."""


@pytest.mark.parametrize(
    ("content", "error", "says"),
    [
        (b"", UnreadableFileError, "is empty; copy it again"),
        (b"   \n", UnreadableFileError, "no camera file"),
        (b"hello world\n", UnreadableFileError, "no camera file"),
        (b"\xff\xd8\xff\xe0" + bytes(range(256)), UnreadableFileError, "neither text nor"),  # a photo
        (b'{"fx": ', UnreadableFileError, "damaged JSON"),
        (b'{"a":' * 100_000, UnreadableFileError, "damaged JSON"),
        (b"%YAML:1.0\n---\nfoo: [1,", UnreadableFileError, "no camera file"),
        (b'<?xml version="1.0"?><opencv_storage><a>', UnreadableFileError, "no camera file"),
        (b"a: [1\nb: {2\n", UnreadableFileError, "no camera file"),
        (b"{}", CameraError, "no camera matrix"),
        (b"a: 1\n", CameraError, "no camera matrix"),
        (OURS.replace("depth3d-camera", "depth3d-calibration").encode(), CameraError, "calibration'; check"),
        (OURS.replace('"version": 1', '"version": 9').encode(), CameraError, "update depth3d"),
        (OURS.replace('"fx": 5, ', "").encode(), CameraError, "lacks the field 'fx'"),
        (OURS.replace('"fx": 5', '"fx": "far"').encode(), CameraError, "fx must be a number, got 'far'"),
        (OURS.replace('"fx": 5', '"fx": NaN').encode(), CameraError, "fx must be"),
        (OURS.replace('"width": 2', '"width": Infinity').encode(), CameraError, "width must be"),
        (OURS.replace('"width": 2', '"width": null').encode(), CameraError, "width must be"),
        (OURS.replace('"fx": 5', f'"fx": {HUGE}').encode(), CameraError, "fx must be a number"),
        (f'{{"intrinsic_matrix": [{HUGE}, 0, 0, 0, 5, 0, 1, 1, 1]}}'.encode(), CameraError, "be a number"),
        (f'{{"camera_matrix": [[{HUGE}, 0, 1], [0, 5, 1], [0, 0, 1]]}}'.encode(), CameraError, "numbers"),
        (b'{"intrinsic_matrix": [1, 2]}', CameraError, "9 numbers"),
        (b'{"intrinsic": 3}', CameraError, "9 numbers"),
        (b'{"parameters": []}', CameraError, "no camera"),
        (b'{"intrinsic_matrix": [5, 0, 0, 0, "x", 0, 1, 1, 1]}', CameraError, "must be a number"),
        (b'{"intrinsic_matrix": [5, 1, 0, 0, 5, 0, 1, 1, 1]}', CameraError, "skew"),
    ],
)
def test_damaged_files_get_one_sentence(tmp_path, content, error, says):
    (tmp_path / "some.file").write_bytes(content)
    with pytest.raises(error, match=says) as caught:
        load_camera(tmp_path / "some.file")
    assert "some.file" in str(caught.value)
    assert "\n" not in str(caught.value)


def test_no_such_file_and_a_directory(tmp_path):
    with pytest.raises(UnreadableFileError, match=r"nothing\.json does not exist; check the path"):
        load_camera(tmp_path / "nothing.json")
    with pytest.raises(UnreadableFileError, match="is a directory; give a file"):
        load_camera(tmp_path)
    for name in ("n" * 300 + ".json", "a\0b.json"):
        with pytest.raises(UnreadableFileError, match="can't read"):
            load_camera(tmp_path / name)
    with pytest.raises(InputError, match="go together"):
        load_camera(tmp_path / "nothing.json", width=3)
