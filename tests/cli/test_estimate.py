"""`depth3d estimate`: one file or many, every format, and going on after a failure."""

import json

import cv2
import numpy as np
import pytest
from depth3d_cli.commands.estimate import command

import depth3d as d3
from depth3d.estimate.preprocess import DEFAULT_MAX_TOKENS
from depth3d.io.manifest import MANIFEST_NAME


def test_depth_of_a_file_is_converted_to_every_format_with_the_same_numbers(run, photo, depth_mm, tmp_path):
    z = d3.load_depth(depth_mm).values
    for suffix in ("npz", "npy", "png", "pfm", "tif", "exr"):
        done = run("estimate", photo, "--depth", depth_mm, "-o", f"z.{suffix}")
        assert done.exit_code == 0, done.output
        back = d3.load_depth(tmp_path / f"z.{suffix}", kind="metric")
        np.testing.assert_allclose(back.values, z, atol=1e-6, err_msg=suffix)


def test_kitti_scale_is_written(run, photo, depth_mm, tmp_path):
    assert run("estimate", photo, "--depth", depth_mm, "-o", "npz", "--format", "npz").exit_code == 0
    done = run("estimate", photo, "--depth", "npz/photo_depth.npz", "-o", "k.png", "--output-png-scale", 256)
    assert done.exit_code == 0, done.output
    raw = cv2.imread(str(tmp_path / "k.png"), cv2.IMREAD_UNCHANGED)
    assert raw.dtype == np.uint16
    z = np.nan_to_num(d3.load_depth(depth_mm).values)
    np.testing.assert_array_equal(raw, np.rint(z * 256))


def test_network_runs_on_photos_of_different_sizes(run, photo, tiny_folder, tmp_path):
    other = tmp_path / "other.jpg"
    cv2.imwrite(str(other), np.random.default_rng(0).integers(0, 255, (60, 30, 3), np.uint8))
    done = run(
        "estimate", photo, other, "-o", "maps", "--model", tiny_folder, "--input-size", 28,
        "--batch-size", 2, "--preview", "--json",
    )  # fmt: skip
    assert done.exit_code == 0, done.output
    rows = json.loads(done.stdout)
    assert rows == [
        {
            "photo": str(path), "output": f"maps/{path.stem}_depth.npz",
            "preview": f"maps/{path.stem}_depth_preview.png", "depth": tiny_folder.name,
            "kind": "relative", "width": w, "height": h,
        }
        for path, w, h in ((photo, 48, 36), (other, 30, 60))
    ]  # fmt: skip
    for name, size_wh in (("photo", (48, 36)), ("other", (30, 60))):
        depth = d3.load_depth(tmp_path / f"maps/{name}_depth.npz")
        assert depth.size_wh == size_wh
        assert depth.kind == "relative"
        assert depth.values.std() > 0
        preview = cv2.imread(str(tmp_path / f"maps/{name}_depth_preview.png"))
        assert preview.shape == (*size_wh[::-1], 3)
    alone = d3.DepthEstimator.from_pretrained(tiny_folder, input_size=28, dtype="float32")
    np.testing.assert_allclose(
        alone(d3.load_image(other)).values,
        d3.load_depth(tmp_path / "maps/other_depth.npz").values,
        rtol=2e-2,
        atol=2e-2,
    )


def test_a_bound_on_tokens_reaches_the_network(run, photo, tiny_folder, tmp_path):
    words = ("estimate", photo, "--model", tiny_folder, "--dtype", "float32", "--backend", "torch")
    assert run(*words, "--input-size", 112, "--max-tokens", 20, "-o", "few.npz").exit_code == 0
    options = {"input_size": 112, "dtype": "float32", "backend": "torch"}
    few, many = (
        d3.DepthEstimator.from_pretrained(tiny_folder, **options, max_tokens=bound)(d3.load_image(photo))
        for bound in (20, DEFAULT_MAX_TOKENS)
    )
    written = d3.load_depth(tmp_path / "few.npz").values
    np.testing.assert_array_equal(written, few.values)
    assert not np.allclose(written, many.values)
    assert run(*words, "--max-tokens", 3, "-o", "none.npz").exit_code == 2


def test_the_bound_on_tokens_means_the_same_from_python():
    option = next(p for p in command.params if p.name == "max_tokens")
    assert option.default == DEFAULT_MAX_TOKENS


def test_gray_preview_is_16_bit_and_near_is_bright(run, photo, depth_mm, tmp_path):
    words = ("estimate", photo, "--depth", depth_mm, "-o", "z.npz", "--preview", "--colormap", "gray")
    assert run(*words).exit_code == 0
    gray = cv2.imread(str(tmp_path / "z_preview.png"), cv2.IMREAD_UNCHANGED)
    assert gray.dtype == np.uint16
    z = d3.load_depth(depth_mm).values
    near, far = np.unravel_index(np.nanargmin(z), z.shape), np.unravel_index(np.nanargmax(z), z.shape)
    assert gray[near] > gray[far]


def test_a_bad_photo_is_reported_and_the_rest_goes_on(run, photo, tiny_folder, tmp_path):
    bad = tmp_path / "bad.jpg"
    bad.write_text("not a photo")
    done = run("estimate", bad, photo, "-o", "maps", "--model", tiny_folder, "--input-size", 28)
    assert done.exit_code == 1
    assert "bad.jpg" in done.stderr
    assert "1 of 2 photos failed; the others are written" in done.stderr
    assert sorted(path.name for path in (tmp_path / "maps").iterdir()) == [MANIFEST_NAME, "photo_depth.npz"]


@pytest.mark.parametrize(
    ("words", "sentence"),
    [
        (["photo.png", "other/photo.png", "-o", "maps"], "would both write"),
        (["photo.png", "depth.png", "-o", "one.npz"], "give a directory"),
        (["photo.png", "-o", "one.npz", "--format", "png"], "disagree"),
        (["photo.png", "-o", "photo.png", "--overwrite"], "input itself"),
        (["photo.png", "-o", "photo.png/sub"], "can't create the directory"),
        (["photo.png", "-o", "depth.jpg"], "no depth format's"),
        (["photo.png", "-o", "x" * 5000 + ".npz"], "File name too long"),
        (["photo.png", "-o", "z.npz", "--depth-kind", "metric"], "--model"),
        (["photo.png", "-o", "z.npz", "--preview", "--colormap", "gray", "--legend"], "leave the legend out"),
        (["photo.png", "depth.png", "-o", "maps", "--depth", "depth.png"], "--depth belongs to one photo"),
    ],
)
def test_plans_that_cannot_work_are_refused_before_any_work(run, photo, depth_mm, words, sentence):
    done = run("estimate", *words, "--model", "/no/such/model")
    assert done.exit_code == 1
    assert sentence in done.stderr
    assert done.stderr.count("\n") == 1
    assert sorted(path.name for path in photo.parent.iterdir()) == ["depth.png", "photo.png"]


def test_a_photo_that_is_missing_where_the_output_exists(run, tmp_path):
    (tmp_path / "z.npz").write_bytes(b"precious")
    for words in (("cloud",), ("estimate", "--model", "/no/such/model")):
        done = run(words[0], "missing.jpg", *words[1:], "-o", "z.npz", "--overwrite")
        assert done.exit_code == 1
        assert "bug" not in done.stderr
        assert (tmp_path / "z.npz").read_bytes() == b"precious"


def test_a_directory_may_have_a_dot_in_its_name(run, photo, depth_mm, tmp_path):
    (tmp_path / "run.2").mkdir()
    assert run("estimate", photo, "--depth", depth_mm, "-o", "run.2").exit_code == 0
    assert (tmp_path / "run.2" / "photo_depth.npz").exists()


def test_photos_share_a_pass_and_only_the_one_at_fault_fails(run, photo, tiny_folder, tmp_path, monkeypatch):
    from depth3d.errors import DeviceError
    from depth3d.estimate.network import DepthNetwork

    for name in ("a", "b", "c"):
        (tmp_path / f"{name}.png").write_bytes(photo.read_bytes())
    cv2.imwrite(str(tmp_path / "b.png"), np.full((36, 48, 3), 77, np.uint8))
    passes = []
    original = DepthNetwork.run

    def crowded(self, batch):
        passes.append(len(batch))
        if any((item.image == 77).all() for item in batch):
            raise DeviceError("out of memory with a single image")
        return original(self, batch)

    monkeypatch.setattr(DepthNetwork, "run", crowded)
    done = run(
        "estimate", "a.png", "b.png", "c.png", "-o", "maps", "--model", tiny_folder, "--input-size", 28,
        "--batch-size", 3,
    )  # fmt: skip
    assert passes == [3, 1, 1, 1]
    assert done.exit_code == 1
    assert "error: b.png: out of memory" in done.stderr
    assert sorted(path.name for path in (tmp_path / "maps").glob("*.npz")) == ["a_depth.npz", "c_depth.npz"]


def test_network_out_of_reach_names_the_ways_out(run, photo, monkeypatch, tmp_path):
    monkeypatch.setenv("HF_HUB_OFFLINE", "1")
    done = run("estimate", photo, "-o", "z.npz", "--model", "base")
    assert done.exit_code == 1
    for way_out in ("--depth", "models download"):
        assert way_out in done.stderr
    assert not (tmp_path / "z.npz").exists()


def test_millimetres_become_kitti_units(run, photo, depth_mm, tmp_path):
    assert run("estimate", photo, "--depth", depth_mm, "-o", "mm.png").exit_code == 0
    done = run("estimate", photo, "--depth", "mm.png", "-o", "kitti.png", "--output-png-scale", 256)
    assert done.exit_code == 0, done.output
    raw = cv2.imread(str(tmp_path / "kitti.png"), cv2.IMREAD_UNCHANGED)
    np.testing.assert_array_equal(raw, np.rint(np.nan_to_num(d3.load_depth(depth_mm).values) * 256))


def test_a_legend_without_a_preview_is_refused(run, photo, depth_mm):
    done = run("estimate", photo, "--depth", depth_mm, "-o", "z.npz", "--legend")
    assert done.exit_code == 1
    assert "add --preview" in done.stderr
