"""The verbs that span rooms: `open_photo`, `save`, `fit_depth_to`, `estimate`."""

import gc
import weakref
from pathlib import Path

import numpy as np
import pytest

import depth3d as d3
from depth3d import verbs
from depth3d.errors import (
    FileError,
    InputError,
    NeedsMetricError,
    OutputExistsError,
    UnsupportedFormatError,
)
from depth3d.opened_photo import fit_depth_to

WIDTH, HEIGHT = 40, 30


@pytest.fixture
def photo(tmp_path):
    image = np.random.default_rng(0).integers(0, 255, (HEIGHT, WIDTH, 3), np.uint8)
    d3.save(image, tmp_path / "photo.png")
    return tmp_path / "photo.png"


def plane(kind="metric"):
    v, u = np.mgrid[:HEIGHT, :WIDTH] + 0.5
    q = 0.2 + 0.003 * u + 0.005 * v
    return d3.DepthMap(1 / q if kind == "metric" else q, kind)


def test_metric_depth_passes_through_untouched(photo):
    opened = d3.open_photo(photo, depth=plane(), fov_x_deg=60)
    assert opened.calibration is None
    assert opened.notes == ()
    np.testing.assert_array_equal(opened.scene.depth.values, plane().values)
    np.testing.assert_array_equal(opened.scene.image, d3.load_image(photo))


def test_relative_depth_needs_metres_and_the_advice_names_the_ways(photo):
    with pytest.raises(NeedsMetricError, match=r"calibration.*metric-indoor-small.*assume_range_m"):
        d3.open_photo(photo, depth=plane("relative"))
    opened = d3.open_photo(photo, depth=plane("relative"), calibration=d3.Calibration(2.0, 0.1), fov_x_deg=60)
    np.testing.assert_allclose(1 / opened.scene.depth.values, 2 * plane("relative").values + 0.1, rtol=1e-5)
    assert opened.notes == ()
    assumed = d3.open_photo(photo, depth=plane("relative"), assume_range_m=(1, 9), fov_x_deg=60)
    assert assumed.calibration.method == "assumed range"
    assert len(assumed.notes) == 1
    assert "guess" in assumed.notes[0]
    assert assumed.notes[0] in assumed.comments


@pytest.mark.parametrize(
    ("given", "source", "fx"),
    [
        ({}, "explicit", 77.0),  # the depth file's own camera
        ({"focal_px": 50}, "explicit", 50.0),  # what the user says beats it
        ({"camera": d3.Camera(60, 60, 20, 15, WIDTH, HEIGHT, source="file")}, "file", 60.0),
    ],
)
def test_camera_of_the_depth_file_yields_to_what_is_said(photo, tmp_path, given, source, fx):
    d3.save(plane(), tmp_path / "z.npz", camera=d3.Camera(77, 77, 20, 15, WIDTH, HEIGHT))
    camera = d3.open_photo(photo, depth=tmp_path / "z.npz", **given).scene.camera
    assert (camera.source, camera.fx) == (source, fx)


def test_a_network_is_asked_and_its_field_of_view_is_used(photo):
    class Network:
        name = "stand-in"

        def predict(self, image):
            from depth3d.estimate.prediction import Prediction

            assert image.shape == (HEIGHT, WIDTH, 3)
            return Prediction(plane(), 70.0)

    opened = d3.open_photo(photo, estimator=Network())
    assert opened.depth_source == "stand-in"
    assert opened.scene.camera.source == "model"
    np.testing.assert_allclose(opened.scene.camera.fov_x_deg, 70)


def test_options_that_would_do_nothing_are_refused(photo, tmp_path):
    with pytest.raises(InputError, match="already; leave the calibration out"):
        d3.open_photo(photo, depth=plane(), calibration=d3.Calibration(2.0, 0.1))
    for depth in (None, plane()):
        for option in ({"depth_kind": "metric"}, {"png_scale": 5000}):
            with pytest.raises(InputError, match="how to read a depth file"):
                d3.open_photo(photo, depth=depth, **option)


def test_a_path_stays_a_path_where_a_name_is_the_same(tiny_folder, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "small").symlink_to(tiny_folder, target_is_directory=True)
    image = np.random.default_rng(0).integers(0, 255, (HEIGHT, WIDTH, 3), np.uint8)
    depth = d3.estimate(image, model=Path("small"), input_size=28)
    assert depth.size_wh == (WIDTH, HEIGHT)
    assert depth.values.std() > 0


def test_estimate_takes_a_backend_and_a_bound_on_tokens(tiny_folder):
    rng = np.random.default_rng(0)
    wide = rng.integers(0, 256, (70, 140, 3), np.uint8)
    options = {
        "model": tiny_folder,
        "backend": "torch",
        "dtype": "float32",
        "device": "cpu",
        "input_size": 70,
    }
    exact = d3.DepthEstimator.from_pretrained(
        options["model"], **{k: options[k] for k in options if k != "model"}
    )
    assert np.array_equal(d3.estimate(wide, **options).values, exact(wide).values)
    assert not np.array_equal(d3.estimate(wide, max_tokens=20, **options).values, exact(wide).values)
    (frame,) = d3.estimate_video([wide], temporal="off", **options)
    assert np.array_equal(frame.values, exact(wide).values)
    with pytest.raises(InputError, match="backend must be one of"):
        d3.estimate(wide, **options | {"backend": "cobol"})
    with pytest.raises(InputError, match="max_tokens"):
        d3.estimate_video([wide], **options, max_tokens=0)


def test_depth_at_network_resolution_is_resized_in_inverse_depth():
    small = plane()
    large = fit_depth_to(small, 4 * WIDTH, 4 * HEIGHT)
    v, u = np.mgrid[: 4 * HEIGHT, : 4 * WIDTH] + 0.5
    q = 0.2 + 0.003 * u / 4 + 0.005 * v / 4
    np.testing.assert_allclose(1 / large.values[2:-2, 2:-2], q[2:-2, 2:-2], rtol=2e-6)


@pytest.mark.parametrize(
    ("width", "height", "fits"),
    [
        (4032, 3024, True),  # a phone's 4:3
        (41, 31, True),  # rounding of a small map
        (30, 40, False),  # turned
        (40, 20, False),  # cropped
    ],
)
def test_only_the_same_crop_fits(width, height, fits):
    if fits:
        assert fit_depth_to(plane(), width, height).size_wh == (width, height)
    else:
        with pytest.raises(InputError, match="another aspect"):
            fit_depth_to(plane(), width, height)


def test_save_writes_each_noun_so_that_it_comes_back(tmp_path):
    cloud = d3.PointCloud(np.eye(3), np.diag([255, 128, 7]).astype(np.uint8))
    camera = d3.Camera.from_fov(40, 30, 55)
    d3.save(cloud, tmp_path / "c.ply")
    d3.save(camera, tmp_path / "k.json")
    d3.save(plane(), tmp_path / "z.npz")
    d3.save(d3.Calibration(2, 1), tmp_path / "cal.json")
    np.testing.assert_array_equal(d3.load_cloud(tmp_path / "c.ply").points, cloud.points)
    assert d3.load_camera(tmp_path / "k.json").fx == camera.fx
    np.testing.assert_array_equal(d3.load_depth(tmp_path / "z.npz").values, plane().values)
    assert verbs.load_calibration(tmp_path / "cal.json").scale == 2


def test_save_writes_frames_as_a_video(tmp_path):
    import av

    frames = [np.full((32, 48, 3), level, np.uint8) for level in (40, 120, 200)]
    d3.save(iter(frames), tmp_path / "a.mp4", fps=12)
    d3.save(frames, tmp_path / "b.mkv")
    for name, rate in (("a.mp4", 12), ("b.mkv", 30)):
        with av.open(str(tmp_path / name)) as container:
            assert container.streams.video[0].average_rate == rate
            levels = [frame.to_ndarray(format="rgb24").mean() for frame in container.decode(video=0)]
        np.testing.assert_allclose(levels, (40, 120, 200), atol=2)
    with pytest.raises(UnsupportedFormatError, match="video"):
        d3.save(frames, tmp_path / "a.png")


def test_save_refuses(tmp_path):
    with pytest.raises(InputError, match="can't save a dict"):
        d3.save({}, tmp_path / "x.ply")
    with pytest.raises(UnsupportedFormatError):
        d3.save(plane(), tmp_path / "z.doc")
    (tmp_path / "z.npz").touch()
    with pytest.raises(OutputExistsError):
        d3.save(plane(), tmp_path / "z.npz", overwrite=False)
    with pytest.raises(FileError, match="does not exist"):
        d3.save(plane(), tmp_path / "no" / "z.npz")
    assert sorted(path.name for path in tmp_path.iterdir()) == ["z.npz"]


def test_calibration_file_problems_are_one_sentence(tmp_path):
    with pytest.raises(FileError, match="check the path"):
        verbs.load_calibration(tmp_path / "none.json")
    (tmp_path / "binary.json").write_bytes(b"\xff\xfe\x00")
    with pytest.raises(FileError, match="not text"):
        verbs.load_calibration(tmp_path / "binary.json")


def test_a_mesh_is_saved_by_its_suffix_and_comes_back(tmp_path):
    mesh = d3.Mesh(
        [[0, 0, 1], [0, 1, 1], [1, 0, 2]], [[0, 1, 2]], colors=np.diag([255, 128, 7]).astype(np.uint8)
    )
    for name in ("m.glb", "m.obj", "m.ply", "m.3mf"):
        d3.save(mesh, tmp_path / name, comments=["camera: c"])
        back = d3.load_mesh(tmp_path / name)
        np.testing.assert_allclose(back.vertices, mesh.vertices, rtol=2e-7)
        np.testing.assert_array_equal(back.faces, mesh.faces)
    with pytest.raises(UnsupportedFormatError):
        d3.save(mesh, tmp_path / "m.png")


def test_a_depth_file_tells_which_network_made_it(tmp_path):
    d3.save(np.zeros((4, 6, 3), np.uint8), tmp_path / "photo.png")
    d3.save(
        d3.DepthMap(np.full((4, 6), 2.0, np.float32), "metric"),
        tmp_path / "depth.npz",
        provenance={"depth": "mini"},
    )
    opened = d3.open_photo(tmp_path / "photo.png", depth=tmp_path / "depth.npz", fov_x_deg=60)
    assert opened.depth_source == "depth.npz of mini"
    assert "depth: depth.npz of mini" in opened.comments


@pytest.mark.parametrize("enabled", [True, False])
def test_a_load_leaves_the_search_for_garbage_as_it_was(enabled):
    class Ring:
        def __init__(self):
            self.itself = self

    was_enabled = gc.isenabled()
    (gc.enable if enabled else gc.disable)()
    try:
        with verbs._collecting_later():
            assert not gc.isenabled()
            garbage = weakref.ref(Ring())
        assert gc.isenabled() is enabled
        assert gc.get_freeze_count() == 0
        assert garbage() is not None
        gc.collect()
        assert garbage() is None
    finally:
        (gc.enable if was_enabled else gc.disable)()


def test_what_a_program_has_frozen_stays_frozen():
    gc.freeze()
    try:
        with verbs._collecting_later():
            pass
        assert gc.get_freeze_count() > 0
    finally:
        gc.unfreeze()
