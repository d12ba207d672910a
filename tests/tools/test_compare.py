"""The tool that measures networks: encodings of depth, averages over scenes, and whole runs."""

from __future__ import annotations

import csv
import json
import math
import sys
from pathlib import Path

import cv2
import numpy as np
import pytest

TOOLS = Path(__file__).resolve().parents[2] / "tools" / "mini"
METRES = np.array([[0.5, 1.25, 2.0], [3.0, 4.096, 0.0]])


@pytest.fixture(autouse=True)
def _import_tools(monkeypatch):
    monkeypatch.syspath_prepend(TOOLS)


def known(depth) -> np.ndarray:
    return np.nan_to_num(depth.values.astype(float))


@pytest.fixture
def measured(tmp_path) -> Path:
    """A folder with the same depth in every encoding."""
    u16 = np.round(METRES * 1000).astype(np.uint16)
    saturated = u16.copy()
    saturated[1, 2] = 65535
    files = {
        "u16/1000": u16,
        "u16/5000": u16 * 5,
        "u16/1000 ": saturated,
        "sun": (u16 << 3) | (u16 >> 13),
        "f32": METRES.astype(np.float32),
        "u8": (20 * METRES).astype(np.uint8),
    }
    with (tmp_path / "index.csv").open("w", newline="") as file:
        writer = csv.writer(file)
        writer.writerow(["rgb", "depth", "type", "decode", "scene_group", "grade"])
        for number, (decode, stored) in enumerate(files.items()):
            name = f"{number}.npy" if decode == "f32" else f"{number}.png"
            if decode == "f32":
                np.save(tmp_path / name, stored)
            else:
                cv2.imwrite(str(tmp_path / name), stored)
            cv2.imwrite(str(tmp_path / f"{number}.rgb.png"), np.full((2, 3, 3), (0, 0, 200), np.uint8))
            writer.writerow([f"{number}.rgb.png", name, "depth", decode.strip(), f"g{number // 2}", "A"])
    return tmp_path


def test_every_encoding_gives_the_same_metres(measured):
    import truths

    *metric, relative = truths.rgbd(measured)
    assert len(metric) == 5
    for picture in metric:
        assert picture.truth.is_metric
        np.testing.assert_allclose(known(picture.truth), METRES, rtol=1e-6)
        assert not picture.truth.valid[1, 2]
        assert picture.image[0, 0].tolist() == [200, 0, 0]  # red first
    assert not relative.truth.is_metric
    np.testing.assert_array_equal(known(relative.truth), np.floor(20 * METRES))


def test_an_encoding_that_is_unknown(measured):
    import truths

    index = measured / "index.csv"
    index.write_text(index.read_text().replace("sun", "moon"))
    with pytest.raises(ValueError, match=r"index.csv has an encoding that is unknown here: moon"):
        list(truths.rgbd(measured))


def test_large_truths_are_thinned_and_not_averaged():
    import truths

    values = np.random.default_rng(0).choice([1.0, 9.0], size=(900, 1280)).astype(np.float32)
    thin = truths._thinned(values, "metric")
    assert thin.size_wh == (640, 450)
    np.testing.assert_array_equal(thin.values, values[1::2, 1::2])
    assert truths._thinned(values[:480, :640], "metric").values.tolist() == values[:480, :640].tolist()


def test_scenes_count_once_and_what_is_undefined_not_at_all():
    import compare

    rows = [
        {"group": group, **dict.fromkeys(compare.COLUMNS, value)}
        for group, value in [("a", 1.0), ("a", 3.0), ("b", 8.0), ("c", math.nan)]
    ]
    assert compare.mean_over_scenes(rows) == {
        **dict.fromkeys(compare.COLUMNS, 5.0),
        "scenes": 3,
        "pictures": 4,
    }


def test_a_run_prints_tables_and_writes_every_number(measured, tmp_path, monkeypatch, capsys):
    import compare

    from depth3d.core.depth import DepthMap

    brightness = lambda image: DepthMap(image.sum(axis=2).astype(np.float32), "relative")  # noqa: E731
    monkeypatch.setattr(compare.DepthEstimator, "from_pretrained", lambda name: brightness)
    out = tmp_path / "scores.json"
    arguments = ["--rgbd", str(measured), "--synthetic", "1", "--model", "brightness", "--out", str(out)]
    monkeypatch.setattr(sys, "argv", ["compare.py", *arguments])
    compare.main()
    kept = json.loads(out.read_text())
    assert list(kept["means"]) == ["rgbd", "synthetic", "all real data"]
    assert [row["data"] for row in kept["pictures"]] == ["rgbd"] * 6 + ["synthetic"]
    assert kept["pictures"][0]["spearman"] is None  # one colour has no order
    assert kept["means"]["rgbd"]["brightness"]["scenes"] == 3
    constant = 1 / np.mean(1 / METRES[METRES > 0])
    want = np.mean(np.abs(constant / METRES[METRES > 0] - 1))
    assert kept["means"]["rgbd"]["brightness"]["abs_rel"] == pytest.approx(want, rel=1e-5)
    assert "### rgbd: 6 pictures of 3 scenes" in capsys.readouterr().out
