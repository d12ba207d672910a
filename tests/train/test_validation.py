"""Validation scores what it is given, in metres where there are any, and its files say the same."""

import csv
import math
import shutil

import cv2
import numpy as np
import pytest

import depth3d
from depth3d.core.depth import DepthMap
from depth3d.train.folder import FolderSamples
from depth3d.train.sheet import picture_sheet
from depth3d.train.validation import MEASURES, Example, FolderExamples, Validation


def example(seed=0, kind="metric"):
    rng = np.random.default_rng(seed)
    z_m = 1 / (0.2 + 0.5 * rng.random((30, 40)))
    z_m[:, 20:] += 4
    values = z_m if kind == "metric" else 3 / z_m + 2
    return Example(rng.integers(0, 256, (30, 40, 3)).astype(np.uint8), DepthMap(values, kind))


def rows_of(folder):
    with (folder / "validation.csv").open(newline="") as file:
        return list(csv.DictReader(file))


def test_the_truth_itself_is_perfect(tmp_path):
    given = example()
    found = Validation([given], tmp_path).run(7, lambda image: given.truth)
    assert found == {"abs_rel": 0, "delta1": 1, "spearman": 1, "boundary_f1": 1}
    assert rows_of(tmp_path) == [
        {
            "step": "7",
            "abs_rel": "0.00000",
            "delta1": "1.00000",
            "spearman": "1.00000",
            "boundary_f1": "1.00000",
        }
    ]


def test_scores_are_means_over_the_photos_where_they_are_defined(tmp_path):
    examples = [example(0), example(1, "relative")]
    by_image = {one.image.tobytes(): one.truth for one in examples}
    by_image[examples[0].image.tobytes()] = DepthMap(1.1 * examples[0].truth.values, "metric")
    found = Validation(examples, tmp_path).run(0, lambda image: by_image[image.tobytes()])
    assert found["abs_rel"] == pytest.approx(0.1, abs=1e-6)  # the relative one has none
    assert found["spearman"] == pytest.approx(1)
    found = Validation(examples[1:], tmp_path / "..").run(0, lambda image: by_image[image.tobytes()])
    assert math.isnan(found["abs_rel"])
    assert rows_of(tmp_path.parent)[0]["abs_rel"] == ""
    assert math.isnan(Validation([], tmp_path.parent).scores[0]["abs_rel"])


def test_a_history_is_gone_on_with_and_no_step_is_scored_twice(tmp_path):
    given, calls = example(), []

    def predict(image):
        calls.append(1)
        return given.truth

    Validation([given], tmp_path).run(0, predict)
    again = Validation([given], tmp_path)
    again.run(0, predict)
    again.run(200, predict)
    assert len(calls) == 2
    assert [row["step"] for row in rows_of(tmp_path)] == ["0", "200"]
    assert set(again.scores) == {0, 200}
    assert set(again.scores[0]) == set(MEASURES)


def test_the_sheet_shows_photo_truth_and_estimate_in_rows(tmp_path):
    examples = [example(i) for i in range(10)]
    Validation(examples, tmp_path).run(0, lambda image: examples[0].truth)
    sheet = cv2.imread(str(tmp_path / "sheet.png"))[..., ::-1]
    assert sheet.shape == (8 * 244 - 4, 3 * 324 - 4, 3)  # the first eight
    for row in (0, 3, 7):
        top = row * 244
        photo, truth, estimate = (sheet[top : top + 240, left : left + 320] for left in (0, 324, 648))
        np.testing.assert_array_equal(photo[4::8, 4::8], examples[row].image)
        np.testing.assert_array_equal(truth[4::8, 4::8], depth3d.colorize_depth(examples[row].truth))
        np.testing.assert_array_equal(estimate[4::8, 4::8], depth3d.colorize_depth(examples[0].truth))
        assert (sheet[top : top + 240, 320:324] == 255).all()


def test_a_sheet_of_photos_of_different_shapes_keeps_their_shapes():
    wide = np.zeros((10, 40, 3), np.uint8), *[DepthMap(np.full((10, 40), np.nan), "relative")] * 2
    tall = np.zeros((80, 40, 3), np.uint8), *[DepthMap(np.full((80, 40), np.nan), "metric")] * 2
    sheet = picture_sheet([wide, tall], width_px=40)
    assert sheet.shape == (10 + 4 + 80, 128, 3)
    assert (sheet[:10, :40] == 0).all()
    assert (sheet[10:14] == 255).all()
    assert (sheet[14:, 44:84] == 128).all()  # unknown is gray


def test_metres_are_used_wherever_the_files_have_them(floors, tmp_path):
    for name in ("0.png", "0_depth.npz", "1.png"):
        shutil.copy(floors / name, tmp_path)
    depth3d.save(DepthMap(np.linspace(3, 5, 4900).reshape(70, 70), "relative"), tmp_path / "1_depth.npz")
    first, second = FolderExamples(FolderSamples(tmp_path))
    np.testing.assert_array_equal(first.truth.values, depth3d.load_depth(floors / "0_depth.npz").values)
    assert (str(first.truth.kind), str(second.truth.kind)) == ("metric", "relative")
    np.testing.assert_array_equal(first.image, depth3d.load_image(floors / "0.png"))


def test_what_is_out_of_range_is_unknown(floors):
    samples = FolderSamples(floors, metric=True)
    near = FolderExamples(samples, max_depth_m=3)[1].truth.values
    whole = FolderExamples(samples)[1].truth.values
    assert 0 < np.isnan(near).sum() - np.isnan(whole).sum() < near.size
    assert np.nanmax(near) <= 3
    np.testing.assert_array_equal(near[~np.isnan(near)], whole[whole <= 3])


def test_large_photos_are_shrunk_and_their_depth_is_never_mixed(tmp_path):
    z_m = np.full((600, 2048), 1.0, np.float32)
    z_m[:, 1001:] = 9.0
    depth3d.save(np.zeros((600, 2048, 3), np.uint8), tmp_path / "a.png")
    depth3d.save(DepthMap(z_m, "metric"), tmp_path / "a_depth.npz")
    shown = FolderExamples(FolderSamples(tmp_path))[0]
    assert shown.image.shape == (300, 1024, 3)
    assert set(np.unique(shown.truth.values)) == {1.0, 9.0}
