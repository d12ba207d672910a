"""`depth3d calibrate`: references find the true law, files are whole, bad input gets one sentence."""

import json
import re
from pathlib import Path

import cv2
import numpy as np
import pytest

import depth3d as d3

WIDTH, HEIGHT = 160, 120
SCALE, SHIFT = 0.5, 0.1
CAMERA = d3.Camera.from_fov(WIDTH, HEIGHT, 60)


def inverse_depth():
    """Two slanted planes with a step between, as a thing before a wall."""
    v, u = np.mgrid[:HEIGHT, :WIDTH] + 0.5
    q = 0.2 + 0.001 * u + 0.002 * v
    q[:, 100:] += 0.4
    return q


def z_at(u, v):
    return float(1 / (0.2 + 0.001 * u + 0.002 * v + (0.4 if u > 100 else 0)))


def point_at(u, v):
    return np.array([(u - CAMERA.cx) / CAMERA.fx, (v - CAMERA.cy) / CAMERA.fy, 1]) * z_at(u, v)


@pytest.fixture
def files(tmp_path):
    """A photo, its relative depth as mini would write it, and the truth in millimetres."""
    image = np.random.default_rng(1).integers(0, 255, (HEIGHT, WIDTH, 3), np.uint8)
    d3.save(image, tmp_path / "photo.png")
    relative = d3.DepthMap((inverse_depth() - SHIFT) / SCALE, "relative")
    made = {"depth": "mini", "input_size": "384"}
    d3.save(relative, tmp_path / "depth.npz", provenance=made, camera=CAMERA)
    cv2.imwrite(str(tmp_path / "mm.png"), np.rint(1000 / inverse_depth()).astype(np.uint16))
    d3.save(CAMERA, tmp_path / "camera.json")
    return tmp_path


NEAR, FAR, MIDDLE = (140, 100), (20, 20), (60, 90)


def anchor(pixel, factor=1.0):
    return ["--anchor", f"{pixel[0]},{pixel[1]},{factor * z_at(*pixel)}"]


def by_range(pixel):
    return ["--anchor-range", f"{pixel[0]},{pixel[1]},{np.linalg.norm(point_at(*pixel))}"]


def length(first, second):
    metres = np.linalg.norm(point_at(*first) - point_at(*second))
    return ["--length", f"{first[0]},{first[1]},{second[0]},{second[1]},{metres}"]


TWO = [*anchor(NEAR), *anchor(FAR)]


@pytest.mark.parametrize(
    "words",
    [
        TWO,
        [*by_range(NEAR), *by_range(FAR)],
        [*anchor(NEAR), *length((10, 20), (90, 20))],
        ["--reference-depth", "mm.png", "--reference-png-scale", 1000, "--reference-sensor", "lidar"],
    ],
)
def test_the_law_is_found(run, files, words):
    result = run("calibrate", "photo.png", "--depth", "depth.npz", *words, "-o", "c.json")
    assert result.exit_code == 0, result.stderr
    fit = d3.Calibration.from_json(Path("c.json").read_text())
    assert fit.scale == pytest.approx(SCALE, rel=5e-3)
    assert fit.shift == pytest.approx(SHIFT, abs=3e-3)
    assert (fit.model, fit.input_size) == ("mini", 384)
    assert all(fit.inliers)
    assert len(fit.references) == len(fit.residuals_m) == (1 if words[0] == "--reference-depth" else 2)
    assert "1/z = scale * d + shift" in result.stdout
    # Where a LiDAR has measured all of the picture, one more distance would not help.
    assert ("next: measure the distance to pixel" in result.stdout) == (words[0] != "--reference-depth")


def test_a_wrong_anchor_is_named_and_left_out(run, files):
    words = [*TWO, *anchor(MIDDLE), *anchor((120, 30)), *anchor((40, 60), factor=2.0)]
    result = run("calibrate", "photo.png", "--depth", "depth.npz", *words, "-o", "c.json", "--json")
    found = json.loads(result.stdout)
    assert found["inliers"] == [True, True, True, True, False]
    assert found["scale"] == pytest.approx(SCALE, rel=1e-3)
    assert found["residuals_m"][4] == pytest.approx(-z_at(40, 60), rel=1e-2)
    assert found["output"] == "c.json"
    assert found["next"]["sigma_after"] < found["next"]["sigma_before"]
    assert found["quality"]["n_rejected"] == 1
    assert "Anchor((40, 60)" in found["notes"][-1]
    told = run("calibrate", "photo.png", "--depth", "depth.npz", *words, "-o", "d.json")
    off = re.search(r"^5 +Anchor.*rejected .* (-[\d.]+) %$", told.stdout, re.MULTILINE)
    assert off
    assert float(off[1]) == pytest.approx(-50, abs=0.3)


def test_a_depth_file_alone_will_do(run, files):
    result = run("calibrate", "depth.npz", *TWO, "-o", "c.json", "--report", "r.png")
    assert result.exit_code == 0, result.stderr
    assert d3.Calibration.from_json(Path("c.json").read_text()).photo_sha256 is None
    assert d3.load_image("r.png").std() > 10
    refused = run("calibrate", "depth.npz", *TWO, "--marker-m", 0.05, "-o", "d.json")
    assert refused.exit_code == 1
    assert "PHOTO --depth FILE" in refused.stderr


def test_metric_depth_gets_a_scale(run, files):
    result = run("calibrate", "mm.png", *anchor(MIDDLE, factor=1.1), "-o", "c.json", "--fov-x-deg", 60)
    assert result.exit_code == 0, result.stderr
    fit = d3.Calibration.from_json(Path("c.json").read_text())
    assert (fit.form, fit.space) == ("scale", "depth")
    assert fit.scale == pytest.approx(1.1, rel=1e-3)


def test_the_calibration_works_in_other_commands(run, files):
    assert run("calibrate", "photo.png", "--depth", "depth.npz", *TWO, "-o", "c.json").exit_code == 0
    result = run("estimate", "photo.png", "--depth", "depth.npz", "--calibration", "c.json", "-o", "z.npz")
    assert result.exit_code == 0, result.stderr
    np.testing.assert_allclose(1 / d3.load_depth("z.npz").values, inverse_depth(), rtol=1e-3)
    by_anchors = run("estimate", "photo.png", "--depth", "depth.npz", *TWO, "-o", "y.npz", "--json")
    assert "metres from 2 of 2 references" in json.loads(by_anchors.stdout)[0]["notes"][0]
    np.testing.assert_array_equal(d3.load_depth("y.npz").values, d3.load_depth("z.npz").values)
    cloud = run("cloud", "photo.png", "--depth", "depth.npz", "--calibration", "c.json", "-o", "c.ply")
    assert cloud.exit_code == 0, cloud.stderr
    assert "guess" not in cloud.stderr
    z = d3.load_cloud("c.ply").points[:, 2]
    assert z.min() == pytest.approx(1 / inverse_depth().max(), rel=0.02)


def test_depth_of_another_model_is_refused_unless_forced(run, files):
    assert run("calibrate", "depth.npz", *TWO, "-o", "c.json").exit_code == 0
    relative = d3.load_depth("depth.npz")
    d3.save(relative, "other.npz", provenance={"depth": "small", "input_size": "518"}, camera=CAMERA)
    words = ["cloud", "photo.png", "--depth", "other.npz", "--calibration", "c.json", "-o", "c.ply"]
    refused = run(*words)
    assert refused.exit_code == 1
    assert "mini at 384 px" in refused.stderr
    assert "--force" in refused.stderr
    assert not Path("c.ply").exists()
    forced = run(*words, "--force")
    assert forced.exit_code == 0
    assert "by force" in forced.stderr


@pytest.mark.parametrize("share", ["all", "scale"])
def test_several_photos(run, files, share):
    """The second photo's map has another shift; with one law for both it has the same."""
    Path("more").mkdir()
    shift = 0.2 if share == "scale" else 0.0
    other = d3.DepthMap(d3.load_depth("depth.npz").values - shift / SCALE, "relative")
    d3.save(other, "more/second.npz", provenance={"depth": "mini", "input_size": "384"}, camera=CAMERA)
    output = "both" if share == "scale" else "both.json"
    words = [*TWO, *anchor(MIDDLE), "--share", share, "-o", output]
    result = run("calibrate", "depth.npz", "more/second.npz", *words)
    assert result.exit_code == 0, result.stderr
    if share == "all":
        fit = d3.Calibration.from_json(Path("both.json").read_text())
        assert (fit.scale, fit.shift) == pytest.approx((SCALE, SHIFT), rel=1e-3)
        assert len(fit.references) == len(fit.inliers) == 6
        return
    for name, expected in (("depth", SHIFT), ("second", SHIFT + shift)):
        fit = d3.Calibration.from_json(Path(f"both/{name}_calibration.json").read_text())
        assert (fit.scale, fit.shift) == pytest.approx((SCALE, expected), rel=1e-3)


@pytest.mark.parametrize(
    ("words", "code", "match"),
    [
        (["--anchor", "3,4"], 2, r"'3,4' must be numbers X,Y,METRES, such as 320,410,0.82"),
        (["--anchor", "a,b,c"], 2, "must be numbers X,Y,METRES"),
        (["--anchor", "3,4,nan"], 2, "must be numbers X,Y,METRES"),
        (["--far", "3"], 2, r"must be numbers X,Y\[,METRES\]"),
        (["--length", "1,2,3,4"], 2, "must be numbers X1,Y1,X2,Y2,METRES"),
        (["--object-height", "1,2,3,4"], 2, "must be numbers LEFT,TOP,RIGHT,BOTTOM,METRES"),
        (["--anchor", "3,4,-1"], 1, "depth_m of Anchor must be above 0"),
        (["--anchor", "300,4,1", *TWO], 1, "outside the picture of 160x120 pixels; give a pixel inside"),
        ([], 1, "needs something known in metres"),
        (anchor(NEAR), 1, "one reference .* can't fix scale and shift"),
        ([*anchor(FAR), *anchor(FAR)], 1, "add one that is much nearer or much farther"),
        (["--anchor", "140,100,5", "--anchor", "20,20,1"], 1, "runs against the references"),
        (["--object-width", "50,20,40,30,1"], 1, "LEFT,TOP,RIGHT,BOTTOM with left < right"),
        (["--pitch-deg", "10", *TWO], 1, "--pitch-deg belongs to --camera-height-m"),
        (["--reference-png-scale", "256", *TWO], 1, "--reference-png-scale belongs to --reference-depth"),
        (["--colmap-image", "a.png", *TWO], 1, "--colmap-image belongs to --colmap"),
        (["--square-mm", "20", *TWO], 1, "--square-mm belongs to --board"),
        (["--board", "9x6"], 1, "give --square-mm"),
        (["--board", "9x6", "--square-mm", "20"], 1, "shows no chessboard of 9x6"),
        (["--marker-m", "0.05"], 1, "shows no marker.*--marker-dictionary"),
        (["--marker-m", "0"], 1, "side_m must be a positive number"),
        (["--reference-depth", "depth.npz"], 1, "holds relative depth"),
        (["--reference-depth", "none.png"], 1, "none.png"),
        (["--colmap", "nowhere"], 1, "is no COLMAP model"),
        (["--form", "spline", *TWO], 1, "spline"),
        (["--report", "r.pdf", *TWO], 1, "no report's name; use one of .html"),
        (["-o", "c.txt", *TWO], 1, "must end in .json"),
        (["--camera-height-m", "-1", *TWO], 1, "height_m of CameraHeight must be above 0"),
    ],
)
def test_bad_words_get_one_sentence_and_leave_nothing(run, files, words, code, match):
    before = set(files.iterdir())
    output = [] if "-o" in words else ["-o", "c.json"]
    result = run("calibrate", "photo.png", "--depth", "depth.npz", *words, *output)
    assert result.exit_code == code, result.stderr
    assert re.search(match, result.stderr)
    assert "bug" not in result.stderr
    assert result.stdout == ""
    assert set(files.iterdir()) == before


@pytest.mark.parametrize(
    ("words", "match"),
    [
        (["depth.npz", "mm.png", *TWO, "--report", "r.html", "-o", "c.json"], "--report shows one photo"),
        (["photo.png", "mm.png", "--depth", "depth.npz", *TWO, "-o", "c.json"], "--depth belongs to one"),
        (["depth.npz", "mm.png", *TWO, "--share", "scale", "-o", "c.json"], "give a directory"),
        (["depth.npz", "mm.png", *TWO, "-o", "c.json"], "all relative or all metric"),
    ],
)
def test_bad_words_about_several_photos(run, files, words, match):
    result = run("calibrate", *words)
    assert result.exit_code == 1
    assert re.search(match, result.stderr)
    assert not Path("c.json").exists()


@pytest.mark.parametrize(
    ("words", "match"),
    [
        (["--calibration", "c.json", *TWO], "--calibration and --anchor would each fix the metres"),
        (["--calibration", "c.json", "--assume-range-m", "1,2"], "leave --assume-range-m out"),
        ([*TWO, "--assume-range-m", "1,2"], "--anchor gives real metres; leave --assume-range-m out"),
        (["--calibration", "missing.json"], "missing.json"),
        (["--focal-correct"], "belongs to the depth of a metric model"),
    ],
)
def test_ways_to_metres_that_contradict_are_refused(run, files, words, match):
    assert run("calibrate", "depth.npz", *TWO, "-o", "c.json").exit_code == 0
    result = run("cloud", "photo.png", "--depth", "depth.npz", *words, "-o", "c.ply")
    assert result.exit_code == 1
    assert re.search(match, result.stderr)
    assert not Path("c.ply").exists()


def test_nothing_is_overwritten_unless_asked(run, files):
    Path("c.json").write_text("mine")
    words = ["calibrate", "depth.npz", *TWO, "-o", "c.json"]
    assert run(*words).exit_code == 1
    assert Path("c.json").read_text() == "mine"
    assert run(*words, "--overwrite").exit_code == 0


def test_anchors_of_many_photos_are_refused_by_estimate(run, files):
    result = run("estimate", "photo.png", "mm.png", *TWO, "-o", "out")
    assert result.exit_code == 1
    assert "anchors belong to one photo" in result.stderr
    assert not Path("out").exists()


@pytest.mark.filterwarnings("ignore:Open3D was built with CUDA:ImportWarning")
@pytest.mark.parametrize(
    "words",
    [
        ["cloud", "-o", "made.ply"],
        ["mesh", "-o", "made.glb"],
        ["mesh", "--method", "poisson", "-o", "made.ply", "--octree-depth", 5],
        ["mesh", "--solid", "--width-mm", 80, "-o", "made.stl"],
    ],
)
def test_everything_that_makes_metres_takes_anchors(run, files, words):
    result = run(*words[:1], "photo.png", "--depth", "depth.npz", *TWO, *words[1:])
    assert result.exit_code == 0, result.stderr
    assert "metres from 2 of 2 references" in result.stderr
    assert "guess" not in result.stderr
    assert Path(words[words.index("-o") + 1]).stat().st_size > 1000
