"""Files with measured depth become references with the errors of their sensor."""

import numpy as np
import pytest
from PIL import Image

import depth3d.reference_files as reference_files
from depth3d.core.depth import DepthMap
from depth3d.errors import InputError, NeedsMetricError
from depth3d.io.depth_files import save_depth
from depth3d.io.depth_record import DepthFile
from depth3d.io.images import load_image
from depth3d.reference_files import samples_from_colmap, samples_from_file
from depth3d.synthetic import default_camera


def test_a_lidar_picture_is_sparse_and_its_error_constant(tmp_path):
    stored = np.zeros((30, 40), np.uint16)
    stored[3, 5], stored[20, 33] = 256 * 4, 256 * 50 + 128
    Image.fromarray(stored).save(tmp_path / "lidar.png")
    samples = samples_from_file(tmp_path / "lidar.png", (80, 60), png_scale=256)
    np.testing.assert_allclose(samples.uv_px, [[11, 7], [67, 41]])
    np.testing.assert_allclose(samples.depth_m, [4.0, 50.5])
    assert (samples.error, samples.sigma, samples.independent) == ("constant", 0.03, None)
    assert samples.label == "lidar.png"


def test_a_dense_picture_is_a_depth_cameras(tmp_path):
    stored = np.full((30, 40), 1500, np.uint16)
    Image.fromarray(stored).save(tmp_path / "depth.png")
    samples = samples_from_file(tmp_path / "depth.png", (40, 30))
    np.testing.assert_allclose(samples.depth_m, 1.5)
    assert (samples.error, samples.sigma) == ("stereo", 0.003)
    assert samples_from_file(tmp_path / "depth.png", (40, 30), sensor="lidar").error == "constant"


def test_a_networks_map_says_so_itself(tmp_path):
    depth = DepthMap(np.full((30, 40), 2.0, np.float32), "metric")
    save_depth(depth, tmp_path / "a.npz", provenance={"depth": "metric-indoor-small"})
    samples = samples_from_file(tmp_path / "a.npz", (400, 300))
    assert (samples.error, samples.sigma, samples.independent) == ("relative", 0.12, 5)


@pytest.mark.parametrize("origin", [{"accuracy": "relative"}, {"measure": "OpticalAxis"}])
def test_the_map_of_a_phone_is_worth_little(origin, monkeypatch):
    file = DepthFile(DepthMap(np.full((30, 40), 2.0, np.float32), "metric"), provenance=origin)
    monkeypatch.setattr(reference_files, "read_any_depth", lambda *_, **__: file)
    samples = samples_from_file("photo.jpg", (40, 30))
    assert (samples.error, samples.sigma, samples.independent) == ("stereo", 0.03, 5)


def test_ranges_of_a_phone_become_z(monkeypatch):
    camera = default_camera(400, 300, 70)
    ranges = 2.0 * np.linalg.norm(camera.resized(40, 30).pixel_rays(), axis=-1)  # a wall at z = 2
    file = DepthFile(DepthMap(ranges.astype(np.float32), "metric"), provenance={"measure": "OpticRay"})
    monkeypatch.setattr(reference_files, "read_any_depth", lambda *_, **__: file)
    np.testing.assert_allclose(samples_from_file("p.jpg", (400, 300), camera=camera).depth_m, 2.0, rtol=1e-6)
    with pytest.raises(InputError, match="--fov-x-deg"):
        samples_from_file("p.jpg", (400, 300))


def test_what_is_no_measured_depth_of_this_picture_is_refused(tmp_path):
    relative = DepthMap(np.ones((30, 40), np.float32), "relative")
    save_depth(relative, tmp_path / "a.npz")
    save_depth(DepthMap(relative.values, "metric"), tmp_path / "b.npz")
    with pytest.raises(InputError, match="relative depth"):
        samples_from_file(tmp_path / "a.npz", (40, 30))
    with pytest.raises(InputError, match="another shape"):
        samples_from_file(tmp_path / "b.npz", (30, 40))
    with pytest.raises(InputError, match="sensor must be one of auto, lidar"):
        samples_from_file(tmp_path / "b.npz", (40, 30), sensor="radar")
    with pytest.raises(NeedsMetricError):
        reference_files.reference_network(relative, (40, 30))


def test_colmap_points_have_the_errors_of_triangulation(tmp_path):
    (tmp_path / "cameras.txt").write_text("1 PINHOLE 640 480 500 500 320 240\n")
    (tmp_path / "images.txt").write_text("1 1 0 0 0 0 0 0.5 1 a.jpg\n100 50 7 200 60 8 300 70 9\n")
    track = "1 0 2 0 3 0"
    (tmp_path / "points3D.txt").write_text(
        "".join(f"{i} 0 0 {z} 0 0 0 0.5 {track}\n" for i, z in ((7, 1.5), (8, 3.5), (9, 9.5)))
    )
    samples = samples_from_colmap(tmp_path, "a.jpg", (320, 240), metres_per_unit=2.0)
    np.testing.assert_allclose(samples.uv_px, [[50, 25], [100, 30], [150, 35]])
    np.testing.assert_allclose(samples.depth_m, [4, 8, 20])
    assert samples.error == "stereo"
    assert samples.sigma == pytest.approx(0.01 / 8)


def test_a_real_phones_map_and_a_real_depth_camera(shared_data):
    phone = shared_data / "heic" / "pug.heic"
    height, width = load_image(phone).shape[:2]
    samples = samples_from_file(phone, (width, height))
    assert (samples.error, samples.independent) == ("stereo", 5)
    kinect = samples_from_file(shared_data / "tum_rgbd" / "TUM_depth.png", (640, 480), png_scale=5000)
    assert kinect.error == "stereo"
    assert 0.4 < kinect.depth_m.min() < kinect.depth_m.max() < 10
