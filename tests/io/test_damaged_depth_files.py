"""Depth files that are damaged, hostile or hold something else."""

import io
import json
import zipfile

import numpy as np
import pytest
from PIL import Image
from PIL.PngImagePlugin import PngInfo

from depth3d.core.cloud import PointCloud
from depth3d.errors import InputError, UnreadableFileError
from depth3d.io.depth_files import load_depth, read_depth
from depth3d.io.geometry_files import save_cloud


def test_python_objects_are_never_unpickled(tmp_path):
    np.save(tmp_path / "d.npy", np.array([[{}]], dtype=object), allow_pickle=True)
    np.savez(tmp_path / "d.npz", depth=np.array([[{}]], dtype=object))
    for name in ("d.npy", "d.npz"):
        with pytest.raises(UnreadableFileError, match="Python objects"):
            load_depth(tmp_path / name, kind="metric")


@pytest.mark.parametrize(
    ("note", "sentence"),
    [
        ("{", "damaged"),
        ("[]", "damaged"),
        ('{"format": "depth3d-depth", "version": 1}', "damaged"),
        ('{"format": "depth3d-depth", "version": 1, "kind": "red"}', "damaged"),
        ('{"format": "depth3d-depth", "version": 1, "kind": "metric", "camera": {}}', "no depth3d camera"),
        ('{"format": "depth3d-depth", "version": 7, "kind": "metric"}', "version 7"),
        ('{"format": "depth3d-other", "version": 1, "kind": "metric"}', "damaged"),
    ],
)
def test_a_damaged_or_newer_note_is_refused(tmp_path, note, sentence):
    np.savez(tmp_path / "d.npz", depth=np.ones((2, 2), np.float32), depth3d=np.array(note))
    with pytest.raises(UnreadableFileError, match=sentence):
        read_depth(tmp_path / "d.npz")


@pytest.mark.parametrize(
    "coding", [{}, {"scale": 0}, {"scale": -1.0}, {"min": 1}, {"min": 1, "max": float("nan")}]
)
def test_a_png_whose_coding_makes_no_sense_is_refused(tmp_path, coding):
    text = PngInfo()
    note = {"format": "depth3d-depth", "version": 1, "kind": "metric", "coding": coding}
    text.add_text("depth3d", json.dumps(note))
    Image.fromarray(np.ones((2, 2), np.uint16)).save(tmp_path / "d.png", pnginfo=text)
    with pytest.raises(UnreadableFileError, match="damaged"):
        read_depth(tmp_path / "d.png")


def test_our_npz_with_integers_put_into_it(tmp_path):
    note = '{"format": "depth3d-depth", "version": 1, "kind": "%s"}'
    integers = np.array([[3, 4]], np.uint16)
    np.savez(tmp_path / "d.npz", depth=integers, depth3d=np.array(note % "relative"))
    np.testing.assert_array_equal(load_depth(tmp_path / "d.npz").values, integers)
    np.savez(tmp_path / "d.npz", depth=integers, depth3d=np.array(note % "metric"))
    with pytest.raises(InputError, match=r"d\.npz: .*integers are mostly millimetres"):
        load_depth(tmp_path / "d.npz")


def test_a_cloud_is_no_depth_map_of_three_columns(tmp_path):
    save_cloud(PointCloud(np.ones((9, 3), np.float32)), tmp_path / "cloud.npz")
    with pytest.raises(UnreadableFileError, match=r"cloud\.npz holds points, no depth map; read it with"):
        load_depth(tmp_path / "cloud.npz", kind="metric")


def test_a_zip_that_is_no_archive_of_arrays(tmp_path):
    with zipfile.ZipFile(tmp_path / "d.npz", "w") as archive:
        archive.writestr("readme.txt", "hello")
    with pytest.raises(UnreadableFileError, match=r"d\.npz"):
        load_depth(tmp_path / "d.npz", kind="metric")
    buffer = io.BytesIO()
    np.lib.format.write_array_header_1_0(
        buffer, {"descr": "<f4", "fortran_order": False, "shape": (2**24, 2**24)}
    )
    (tmp_path / "bomb.npy").write_bytes(buffer.getvalue())
    with pytest.raises(
        UnreadableFileError, match=r"bomb\.npy says it holds 16777216x16777216 values, more than the 500"
    ):
        load_depth(tmp_path / "bomb.npy", kind="metric")
