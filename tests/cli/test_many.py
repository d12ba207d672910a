"""Commands over many photos: what they write, say and refuse, and what is left after `kill -9`."""

import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import cv2
import numpy as np
import pytest
import trimesh

import depth3d as d3
from depth3d.io.manifest import MANIFEST_NAME


@pytest.fixture
def tree(run, photo, depth_mm):
    """Photos in `p`, and a depth map for each in `maps`, in metres that tell them apart."""
    depth = cv2.imread(str(depth_mm), cv2.IMREAD_UNCHANGED)
    for number, place in enumerate(("1", "2", "a/10", "a b/3")):
        for path in (Path("p", f"{place}.png"), Path("maps", f"{place}_depth.png")):
            path.parent.mkdir(parents=True, exist_ok=True)
        Path("p", f"{place}.png").write_bytes(photo.read_bytes())
        farther = np.where(depth, depth + 1000 * number, 0).astype(np.uint16)
        cv2.imwrite(f"maps/{place}_depth.png", farther)
    return Path("p")


def files_of(folder):
    names = {path.relative_to(folder).as_posix(): path for path in Path(folder).rglob("*") if path.is_file()}
    names.pop(MANIFEST_NAME, None)
    return {name: path.read_bytes() for name, path in sorted(names.items())}


def cloud(run, *words):
    return run("cloud", *words, "--depth", "maps", "--focal-px", 40)


NAMES = ["1", "2", "a/10", "a b/3"]


def test_a_folder_is_mirrored_and_each_photo_gets_its_own_depth(run, tree, photo, depth_mm):
    done = cloud(run, "p", "-o", "out", "--json")
    assert done.exit_code == 0, done.output
    rows = json.loads(done.stdout)
    assert [row["photo"] for row in rows] == [f"p/{name}.png" for name in NAMES]
    assert [row["output"] for row in rows] == [f"out/{name}_cloud.ply" for name in NAMES]
    assert sorted(files_of("out")) == sorted(f"{name}_cloud.ply" for name in NAMES)
    nearest = [np.asarray(trimesh.load(row["output"]).vertices)[:, 2].min() for row in rows]
    np.testing.assert_allclose(np.subtract(nearest, nearest[0]), [0, 1, 2, 3], atol=2e-3)
    alone = run("cloud", "p/1.png", "--depth", "maps/1_depth.png", "--focal-px", 40, "-o", "one.ply")
    assert alone.exit_code == 0
    assert Path("one.ply").read_bytes() == Path("out/1_cloud.ply").read_bytes()


@pytest.mark.parametrize(
    ("names", "output", "expected"),
    [
        (["p/1.png", "p/2.png"], "out", ["1_cloud.ply", "2_cloud.ply"]),
        (["p/**/*0.png"], "out", ["a/10_cloud.ply"]),
        (["@list.txt"], "out", ["1_cloud.ply", "a/10_cloud.ply"]),
        (["p"], "out/{parent}/{stem}.npz", ["1.npz", "2.npz", "a b/3.npz", "a/10.npz"]),
        (["p/a/10.png"], "out", ["10_cloud.ply"]),
        (["p/a/10.png"], "out/{parent}_{name}.ply", ["a_10.png.ply"]),
    ],
)
def test_every_way_to_name_photos_and_results(run, tree, names, output, expected):
    Path("list.txt").write_text("p/1.png\np/a/10.png\n")
    done = cloud(run, *names, "-o", output)
    assert done.exit_code == 0, done.output
    assert sorted(files_of("out")) == expected
    assert done.stdout.count("PointCloud(") == len(expected)


def test_further_outputs_are_folders_or_templates_too(run, tree):
    for preview in ("views", "views/{parent}/{stem}_views.png"):
        done = cloud(run, "p", "-o", "out", "--preview", preview, "--overwrite")
        assert done.exit_code == 0, done.output
        assert sorted(files_of("views")) == sorted(f"{name}_views.png" for name in NAMES)
    done = cloud(run, "p", "-o", "out", "--preview", "views.png", "--overwrite")
    assert done.exit_code == 1
    assert "views.png is one file and there are 4 photos" in done.stderr
    assert "--preview '{stem}.png'" in done.stderr


def test_failures_come_at_the_end_with_their_reasons(run, tree):
    Path("p/2.png").write_text("no picture")
    Path("p/bad.jpg").write_bytes(b"")
    Path("maps/1_depth.png").unlink()
    done = cloud(run, "p", "-o", "out", "--json")
    assert done.exit_code == 1
    rows = {row["photo"]: row.get("error", "") for row in json.loads(done.stdout)}
    assert len(rows) == 5
    assert "nothing in maps has the name of 1.png" in rows["p/1.png"]
    lines = done.stderr.splitlines()
    assert lines[-1] == "Error: 3 of 5 photos failed; the others are written"
    assert lines[-4].startswith("error: p/1.png: nothing in maps")
    assert lines[-3].startswith("error: p/2.png is a text file")  # named once
    assert lines[-2].startswith("error: p/bad.jpg: nothing in maps")
    assert sorted(files_of("out")) == ["a b/3_cloud.ply", "a/10_cloud.ply"]


def test_failures_of_one_reason_are_one_line(run, tree):
    done = cloud(run, "p", "-o", "out", "--depth-range-m", "100,200")
    assert done.exit_code == 1
    reasons = [line for line in done.stderr.splitlines() if line.startswith("error: ")]
    assert len(reasons) == 4  # each names its photo and depth
    done = cloud(run, "p", "-o", "out", "--fov-x-deg", 60)
    assert done.stderr == (
        "error: p/1.png and 3 more: focal_px and fov_x_deg contradict each other; give only one of them\n"
        "Error: 4 of 4 photos failed\n"
    )
    assert not Path("out").exists()


def test_notes_name_their_photo_and_equal_ones_are_counted(run, tree):
    done = run("cloud", "p", "-o", "out", "--depth", "maps")
    notes = [line for line in done.stderr.splitlines() if "focal length" in line]
    assert len(notes) == 2
    assert notes[0].startswith("note: p/")
    assert notes[1].startswith("note: 3 more: the photo does not tell")
    assert run("cloud", "p", "-o", "out", "--depth", "maps", "--overwrite", "-q").stderr == ""


@pytest.mark.parametrize(
    ("words", "sentence"),
    [
        (
            ["p", "-o", "one.ply"],
            r"one.ply is one file and there are 4 photos; give a directory, or a template",
        ),
        (["p", "-o", "out/{stem}.stl"], ".stl has a suffix that is no point cloud's"),
        (["p", "-o", "out/{stm}.ply"], "{stm} in out/{stm}.ply means nothing"),
        (["p", "-o", "out/x.{parent}.ply", "--preview", "out/x.{parent}.ply"], "would both write"),
        (["p", "-o", "out", "--anchor", "1,2,3"], "anchors belong to one photo"),
        (
            ["p", "-o", "out", "--depth", "maps/1_depth.png"],
            "give a folder with a depth file of each photo's name",
        ),
        (["p", "-o", "maps/1_depth.png/out"], "can't create the directory"),
        (["nothing/*.jpg", "-o", "out"], "no file matches nothing/*.jpg"),
        (["@nothing.txt", "-o", "out"], "can't read the list nothing.txt"),
        (
            ["p/1.png", "p/a/10.png", "p/a", "q/1.png", "-o", "out"],
            "p/1.png and q/1.png would both write out/1_cloud",
        ),
    ],
)
def test_plans_that_cannot_work_are_refused_and_leave_nothing(run, tree, words, sentence):
    before = files_of(".")
    done = run("cloud", "--depth", "maps", *words)
    assert done.exit_code == 1
    assert sentence in done.stderr
    assert done.stderr.count("Error: ") == 1
    assert files_of(".") == before
    assert not Path("out").exists()


def test_resume_does_what_is_missing_and_ends_with_the_same_bytes(run, tree):
    assert cloud(run, "p", "-o", "whole", "--preview", "whole").exit_code == 0
    Path("p/2.png").rename("2.png")
    assert cloud(run, "p", "-o", "out", "--preview", "out").exit_code == 0
    Path("2.png").rename("p/2.png")
    done = cloud(run, "p", "-o", "out", "--preview", "out")
    assert done.exit_code == 1
    assert "out/1_cloud.ply already exists" in done.stderr
    assert "--resume" in done.stderr
    done = cloud(run, "p", "-o", "out", "--preview", "out", "--resume", "--json")
    assert done.exit_code == 0, done.output
    assert "3 of 4 were done before" in done.stderr
    rows = json.loads(done.stdout)
    assert [row["points"] for row in rows] == [1727] * 4
    assert [row.get("done_before", False) for row in rows] == [True, False, True, True]
    assert files_of("out") == files_of("whole")


def test_resume_notices_another_photo_another_depth_and_other_options(run, tree):
    def summaries(*more):
        done = cloud(run, "p", "-o", "out", "--resume", *more)
        assert done.exit_code == 0, done.output
        return [line.split(":")[0] for line in done.stdout.splitlines()]

    assert len(summaries()) == 4
    assert summaries() == []
    assert summaries("--jobs", 1, "--device", "cpu") == []  # these change nothing
    picture = cv2.imread("p/2.png")
    cv2.imwrite("p/2.png", picture[:, ::-1])
    assert summaries() == ["out/2_cloud.ply"]
    depth = cv2.imread("maps/1_depth.png", cv2.IMREAD_UNCHANGED)
    cv2.imwrite("maps/1_depth.png", depth + 1)
    assert summaries() == ["out/1_cloud.ply"]
    done = cloud(run, "p", "-o", "out", "--resume", "--stride", 2)
    assert done.exit_code == 1
    assert "was made with another stride (1, and now 2)" in done.stderr
    assert len(summaries("--stride", 2, "--overwrite")) == 4


def test_a_file_that_options_name_counts_by_what_is_in_it(run, tree):
    d3.save(d3.Camera(fx=40, fy=40, cx=24, cy=18, width=48, height=36), "k.json")
    words = ("cloud", "p/1.png", "--depth", "maps/1_depth.png", "--camera", "k.json", "-o", "out", "--resume")
    assert run(*words).exit_code == 0
    assert "1 of 1 were done before" in run(*words).stderr
    d3.save(d3.Camera(fx=50, fy=50, cx=24, cy=18, width=48, height=36), "k.json")
    done = run(*words)
    assert done.exit_code == 1
    assert "another camera-file" in done.stderr


@pytest.mark.parametrize("folder", ["none", "mini"])
def test_a_folder_that_is_called_like_an_option_is_not_meant_by_it(run, tree, folder):
    words = ("estimate", "p/1.png", "--model", "mini", "--refine", "none", "-o", folder, "--resume")
    assert run(*words).exit_code == 0
    assert Path(folder).is_dir()
    assert "1 of 1 were done before" in run(*words).stderr


@pytest.mark.parametrize(
    ("words", "expected"),
    [
        (["mesh"], ["1_mesh.glb", "2_mesh.glb"]),
        (
            ["mesh", "-o", "out/{stem}.obj"],
            ["1.mtl", "1.obj", "1_texture.jpg", "2.mtl", "2.obj", "2_texture.jpg"],
        ),
        (["mesh", "--relief", "--width-mm", "50"], ["1_relief.stl", "2_relief.stl"]),
        (["bokeh", "--strength-px", "3"], ["1_bokeh.jpg", "2_bokeh.jpg"]),
        (["matte", "--nearer-than-percent", "50"], ["1_matte.png", "2_matte.png"]),
        (["effect", "fog", "--visibility-m", "9"], ["1_fog.jpg", "2_fog.jpg"]),
        (["effect", "dim", "--nearer-than-percent", "50"], ["1_dim.jpg", "2_dim.jpg"]),
        (
            ["estimate", "--format", "png", "--preview"],
            ["1_depth.png", "1_depth_preview.png", "2_depth.png", "2_depth_preview.png"],
        ),
    ],
)
def test_every_command_takes_many(run, tree, words, expected):
    given = words if "-o" in words else [*words, "-o", "out"]
    done = run(*given, "p/[12].png", "--depth", "maps", "-q")
    assert done.exit_code == 0, done.output
    assert sorted(files_of("out")) == expected
    again = run(*given, "p/[12].png", "--depth", "maps", "--resume")
    assert again.exit_code == 0, again.output
    assert "2 of 2 were done before" in again.stderr


def test_odd_names_come_through(run, tree, photo):
    names = ["a b.png", "it's.png", "\U0001f9cd.png", "two\nlines.png", "-o.png", "{stem}.png", "50%.png"]
    Path("odd").mkdir()
    for name in names:
        Path("odd", name).write_bytes(photo.read_bytes())
    done = run("effect", "fog", "odd", "--depth", "maps/1_depth.png", "-o", "out")
    assert "give a folder with a depth file" in done.stderr
    done = run("matte", "odd", "--depth", "{photo}.npy", "--nearer-than-percent", 50, "-o", "out")
    assert "7 of 7 photos failed" in done.stderr
    for name in names:
        np.save(f"odd/{name}.npy", d3.load_depth("maps/1_depth.png").values)
    done = run(
        "matte",
        "odd",
        "--depth",
        "{photo}.npy",
        "--depth-kind",
        "metric",
        "--nearer-than-percent",
        50,
        "-o",
        "out",
    )
    assert done.exit_code == 0, done.output
    assert sorted(files_of("out")) == sorted(f"{name[:-4]}_matte.png" for name in names)


def test_killed_at_any_moment_and_resumed_it_ends_with_the_same_bytes(run, photo, tmp_path):
    image = cv2.imread(str(photo))
    (tmp_path / "many").mkdir()
    for number in range(40):
        cv2.imwrite(f"many/{number}.png", np.roll(image, number, axis=1))
    words = ["estimate", "many", "--model", "mini", "--input-size", 64, "--preview", "-q"]
    assert run(*words, "-o", "whole").exit_code == 0
    command = [sys.executable, "-m", "depth3d_cli", *map(str, words), "-o", "out", "--resume", "--jobs", "2"]
    environment = {**os.environ, "PYTHONPATH": "", "OMP_NUM_THREADS": "1"}
    whole = files_of("whole")
    for least in (1, 20):
        process = subprocess.Popen(
            command, env=environment, stdout=subprocess.DEVNULL, start_new_session=True
        )
        while process.poll() is None and len(list(Path("out").glob("*.npz"))) < least:
            time.sleep(0.002)
        os.killpg(process.pid, signal.SIGKILL)
        process.wait()
        for name, content in files_of("out").items():
            assert name.startswith(".") or content == whole[name], name
    done = run(*words[:-1], "-o", "out", "--resume")
    assert done.exit_code == 0, done.output
    assert files_of("out") == whole
    assert 0 < done.stdout.count("DepthMap") < 40
