"""`depth3d evaluate`: files, folders, a network, DA-2K, tables and error pictures."""

from __future__ import annotations

import csv
import json

import cv2
import numpy as np
import pytest
from depth3d_cli.commands import evaluate as cli_evaluate
from depth3d_cli.evaluation_tables import LABELS

import depth3d as d3
from depth3d.evaluate import ALIGNMENTS, CROPS, MEASURES, PROTOCOLS

H, W = 36, 48


def plane() -> np.ndarray:
    v, u = np.mgrid[:H, :W] + 0.5
    return 1 / (0.3 + 0.002 * u + 0.004 * v)


def report_of(run, *words, exit_code=0):
    done = run("evaluate", *words, "--json")
    assert done.exit_code == exit_code, done.output
    return json.loads(done.stdout)


@pytest.fixture
def folders(tmp_path):
    """Three truths in millimetres, and predictions 10, 20 and 60 % too far."""
    for name, factor in (("a", 1.1), ("b", 1.2), ("c", 1.6)):
        (tmp_path / "truth").mkdir(exist_ok=True)
        (tmp_path / "depths").mkdir(exist_ok=True)
        cv2.imwrite(str(tmp_path / f"truth/{name}.png"), np.rint(1000 * plane()).astype(np.uint16))
        d3.save(d3.DepthMap(factor * plane(), "metric"), tmp_path / f"depths/{name}_depth.npz")
    return tmp_path


def test_the_names_in_the_help_are_all_there_are():
    assert tuple(PROTOCOLS) == cli_evaluate.PROTOCOLS
    assert tuple(CROPS) == cli_evaluate.CROPS
    assert ALIGNMENTS == cli_evaluate.ALIGNMENTS
    assert tuple(LABELS) == (*MEASURES, "coverage")


def test_folders(run, folders):
    report = report_of(run, "depths", "truth")
    assert [row["name"] for row in report["pictures"]] == ["a", "b", "c"]
    errors = [row["abs_rel"] for row in report["pictures"]]
    assert errors == pytest.approx([0.1, 0.2, 0.6], abs=1e-3)
    assert report["mean"]["abs_rel"] == pytest.approx(0.3, abs=1e-3)
    assert report["median"]["log10"] == pytest.approx(np.log10(1.2), abs=1e-3)
    assert (report["align"], report["evaluated"], report["failed"]) == ("none", 3, 0)
    table = run("evaluate", "depths", "truth").stdout
    for text in ("3 pictures", "AbsRel", "0.3000", "SiLog, lambda 1, x100", "crop none, 0.001 to 80 m"):
        assert text in table


def test_globs_and_lists(run, folders):
    whole = report_of(run, "depths", "truth")
    (folders / "truths.txt").write_bytes(b"truth/c.png\r\ntruth/a.png\r\n")
    for words in (("depths/*.npz", "truth/*"), ("depths", "**/truth/*.png"), ("*/?_depth.npz", "truth")):
        report = report_of(run, *words)
        assert [row["abs_rel"] for row in report["pictures"]] == [row["abs_rel"] for row in whole["pictures"]]
    report = report_of(run, "depths/*.npz", "@truths.txt")
    assert [row["name"] for row in report["pictures"]] == ["c", "a"]
    assert report["pictures"][1] == whole["pictures"][0]
    (folders / "truth/c.png").rename(folders / "truth/d.png")
    done = run("evaluate", "depths/*.npz", "truth/*.png")
    assert done.exit_code == 1
    assert "nothing in depths/*.npz has the name of d.png" in done.stderr


def test_a_table_of_many_shows_the_worst(run, folders):
    for i in range(30):
        d3.save(d3.DepthMap((1 + i / 100) * plane(), "metric"), folders / f"depths/{i:02d}.npz")
        d3.save(d3.DepthMap(plane(), "metric"), folders / f"truth/{i:02d}.npz")
    lines = run("evaluate", "depths", "truth").stdout.splitlines()
    assert "The 5 worst of 33 pictures" in lines[0]
    assert [line.split()[0] for line in lines[4:9]] == ["c", "29", "28", "27", "26"]


def test_written_tables(run, folders):
    assert run("evaluate", "depths", "truth", "-o", "t.csv").exit_code == 0
    with (folders / "t.csv").open(newline="") as file:
        rows = list(csv.DictReader(file))
    assert [float(row["abs_rel"]) for row in rows] == pytest.approx([0.1, 0.2, 0.6], abs=1e-3)
    assert {row["align"] for row in rows} == {"none"}
    assert run("evaluate", "depths", "truth", "-o", "t.json").exit_code == 0
    assert json.loads((folders / "t.json").read_text()) == report_of(run, "depths", "truth")
    refused = run("evaluate", "depths", "truth", "-o", "t.csv")
    assert refused.exit_code == 1
    assert "--overwrite" in refused.stderr
    assert "use .csv or .json" in run("evaluate", "depths", "truth", "-o", "t.txt").stderr


def test_what_is_missing_fails_after_the_rest(run, folders):
    (folders / "depths/b_depth.npz").unlink()
    d3.save(d3.DepthMap(plane(), "metric"), folders / "depths/z_depth.npz")
    d3.save(d3.DepthMap(np.full((H, W), np.nan), "metric"), folders / "truth/z.npz")
    (folders / "depths/lonely.npz").write_bytes((folders / "depths/a_depth.npz").read_bytes())
    done = run("evaluate", "depths", "truth", "--json", "-o", "t.csv")
    assert done.exit_code == 1
    report = json.loads(done.stdout)
    assert report["mean"]["abs_rel"] == pytest.approx((0.1 + 0.6) / 2, abs=1e-3)
    assert [row["name"] for row in report["pictures"] if "error" in row] == ["b", "z"]
    assert "b: nothing in depths has the name of b.png" in done.stderr
    assert "z: no pixel counts" in done.stderr
    assert "1 files of depths have no truth" in done.stderr
    assert "2 of 4 pictures failed" in done.stderr
    assert (folders / "t.csv").read_text().count("\n") == 5


def test_damaged_files_and_kinds_that_do_not_mix(run, folders):
    (folders / "depths/a_depth.npz").write_bytes(b"PK no archive")
    d3.save(d3.DepthMap(1 / plane(), "relative"), folders / "depths/c_depth.npz")
    report = report_of(run, "depths", "truth", exit_code=1)
    failed = {row["name"]: row["error"] for row in report["pictures"] if "error" in row}
    assert set(failed) == {"a", "c"}
    assert "--align affine" in failed["c"]
    assert report["mean"]["abs_rel"] == pytest.approx(0.2, abs=1e-3)


@pytest.mark.parametrize("align", ["scale", "affine"])
def test_alignments(run, folders, align):
    assert report_of(run, "depths", "truth", "--align", align)["mean"]["abs_rel"] < 1e-3


def test_files_scales_kinds_and_ranges(run, tmp_path):
    z = plane()
    cv2.imwrite(str(tmp_path / "truth.png"), np.rint(256 * z).astype(np.uint16))
    np.save(tmp_path / "prediction.npy", (1.5 * z).astype(np.float32))
    words = ("prediction.npy", "truth.png", "--png-scale", 256, "--prediction-kind", "metric")
    report = report_of(run, *words, "--depth-range-m", "2,2.5")
    assert report["pictures"][0]["abs_rel"] == pytest.approx(0.2, abs=0.1)  # clamped to 2.5 m
    assert report["pictures"][0]["pixels"] == pytest.approx(np.sum((z > 2) & (z < 2.5)), abs=3)
    assert report["protocol"] == {
        "name": "custom", "crop": "none", "min_depth_m": 2.0, "max_depth_m": 2.5,
    }  # fmt: skip
    cropped = report_of(run, *words, "--protocol", "kitti")["pictures"][0]
    assert cropped["pixels"] == (int(0.99189189 * H) - int(0.40810811 * H)) * (
        int(0.96405229 * W) - int(0.03594771 * W)
    )
    assert cropped["abs_rel"] == pytest.approx(0.5, abs=1e-2)
    assert "nyu-eigen belongs to" in run("evaluate", *words, "--crop", "nyu-eigen").stderr
    assert "near before far" in run("evaluate", *words, "--depth-range-m", "3,2").stderr
    one = run("evaluate", *words).stdout
    assert "AbsRel" in one
    assert "median" not in one


def test_a_network_on_photos(run, photo, depth_mm, tmp_path):
    (tmp_path / "rgb").mkdir()
    (tmp_path / "gt").mkdir()
    for i in range(2):
        (tmp_path / f"rgb/rgb_{i:03d}.png").write_bytes(photo.read_bytes())
        (tmp_path / f"gt/depth_{i:03d}.png").write_bytes(depth_mm.read_bytes())
    report = report_of(run, "rgb", "gt", "--model", "mini", "--error-pictures", "errors")
    assert report["align"] == "affine"
    assert [row["prediction"] for row in report["pictures"]] == ["rgb/rgb_000.png", "rgb/rgb_001.png"]
    estimated = d3.estimate(d3.load_image(photo), model="mini")
    expected = d3.evaluate(estimated, d3.load_depth(depth_mm))
    assert report["mean"]["abs_rel"] == pytest.approx(expected.abs_rel, rel=1e-6)
    pictures = [cv2.imread(str(tmp_path / f"errors/depth_{i:03d}_error.png")) for i in range(2)]
    assert pictures[0].shape == pictures[1].shape
    assert pictures[0].shape[1] > 1900  # photo, truth, prediction, error


def test_error_pictures_with_photos(run, folders, photo):
    (folders / "photos").mkdir()
    (folders / "photos/a.png").write_bytes(photo.read_bytes())
    words = ("evaluate", "depths", "truth", "--error-pictures", "errors", "--photos", "photos")
    assert run(*words).exit_code == 0
    with_photo, without = (cv2.imread(str(folders / f"errors/{name}_error.png")) for name in "ab")
    assert with_photo.shape[1] > without.shape[1] + 300
    again = run(*words)
    assert again.exit_code == 1
    assert "--overwrite" in again.stderr
    assert run(*words, "--overwrite").exit_code == 0


def test_da2k(run, tmp_path):
    z = plane()  # nearer towards the lower right
    near, far = [30, 40], [3, 4]
    right = {"point1": near, "point2": far, "closer_point": "point1"}
    wrong = {"point1": near, "point2": far, "closer_point": "point2"}
    pairs = {
        "images/indoor/a.jpg": [right, right, wrong],
        "images/aerial/a.jpg": [right],
        "images/aerial/b.jpg": [right],
    }
    (tmp_path / "annotations.json").write_text(json.dumps(pairs))
    for scene in ("indoor", "aerial"):
        (tmp_path / "depths" / scene).mkdir(parents=True)
        d3.save(d3.DepthMap(1 / z, "relative"), tmp_path / f"depths/{scene}/a_depth.npz")
    report = report_of(run, "depths", "--da2k", "annotations.json", exit_code=1)
    assert report["scenes"] == {
        "aerial": {"pairs": 1, "accuracy": 1.0},
        "indoor": {"pairs": 3, "accuracy": pytest.approx(2 / 3)},
    }
    assert report["accuracy"] == pytest.approx(3 / 4)
    assert report["scene_mean"] == pytest.approx(5 / 6)
    assert [row["name"] for row in report["pictures"] if "error" in row] == ["images/aerial/b.jpg"]
    done = run("evaluate", "depths", "--da2k", "annotations.json", "-o", "t.csv")
    assert "0.6667" in done.stdout
    assert "nothing in depths has the name of images/aerial/b.jpg" in done.stderr
    assert len((tmp_path / "t.csv").read_text().splitlines()) == 4


def test_da2k_with_maps_of_another_size(run, tmp_path):
    """The photo beside the annotations tells its size."""
    (tmp_path / "images").mkdir()
    (tmp_path / "depths").mkdir()
    cv2.imwrite(str(tmp_path / "images/a.png"), np.zeros((2 * H, 2 * W, 3), np.uint8))
    d3.save(d3.DepthMap(plane(), "metric"), tmp_path / "depths/a.npz")
    pair = {"point1": [70, 90], "point2": [3, 4], "closer_point": "point1"}
    (tmp_path / "x.json").write_text(json.dumps({"images/a.png": [pair]}))
    assert report_of(run, "depths", "--da2k", "x.json")["accuracy"] == 1
    (tmp_path / "images/a.png").unlink()
    report = report_of(run, "depths", "--da2k", "x.json", exit_code=1)
    assert report["accuracy"] is None
    assert "lies outside a picture of 48x36" in report["pictures"][0]["error"]


@pytest.mark.parametrize(
    ("words", "sentence"),
    [
        (["depths"], "give either TRUTH or --da2k"),
        (["depths", "truth", "--da2k", "x.json"], "give either TRUTH or --da2k"),
        (["depths", "truth/a.png"], "two files, or two of folders, globs and lists"),
        (["nowhere", "truth"], "nowhere does not exist"),
        (["truth", "empty"], "empty has no depth files"),
        (["empty", "truth"], "--model auto"),
        (["photo.jpg", "truth/a.png"], "name the network"),
        (["depths", "truth", "--device", "cpu"], "--device belongs to a network"),
        (["depths", "--da2k", "nowhere.json"], "can't read the annotations"),
        (["depths", "--da2k", "bad.json"], "bad.json is no JSON"),
        (["depths", "--da2k", "bad.json", "--error-pictures", "e"], "need a TRUTH"),
    ],
)
def test_sentences(run, folders, words, sentence):
    (folders / "empty").mkdir()
    (folders / "photo.jpg").write_bytes(b"")
    (folders / "bad.json").write_text("{")
    done = run("evaluate", *words)
    assert done.exit_code == 1
    assert sentence in done.stderr
    assert len(done.stderr.strip().splitlines()) == 1
    assert done.stdout == ""


def test_shared_frames(run, shared_data):
    """Neighbouring frames of a slow camera: nearly the same depth, and an exact copy of itself."""
    depth = shared_data / "redwood_icl_nuim" / "depth"
    assert report_of(run, depth, depth)["mean"]["abs_rel"] == 0
    neighbour = report_of(run, depth / "00001.png", depth / "00000.png")["pictures"][0]
    assert 0 < neighbour["abs_rel"] < 0.03
    assert neighbour["delta1"] > 0.95
