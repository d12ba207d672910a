"""`depth3d inspect` of films: what they are, in rows and as JSON."""

import json

import numpy as np
import pytest

import depth3d as d3
from depth3d.io.video import save_video


def grays(count=12, shape=(36, 48)):
    return [np.full((*shape, 3), 20 * number, np.uint8) for number in range(count)]


def test_a_film_tells_size_rate_length_and_codec(run, tmp_path):
    save_video(grays(), tmp_path / "a.mp4", fps=24)
    done = run("inspect", tmp_path / "a.mp4", "--json")
    assert done.exit_code == 0, done.output
    facts = json.loads(done.stdout)
    wanted = {
        "type": "film", "codec": "h264", "width": 48, "height": 36, "fps": 24.0, "variable_rate": False,
        "frames": 12, "duration_s": 0.5, "sound": False, "pixels": "yuv420p", "bits": 8, "color": "BT.709",
        "color_range": "limited", "rotation_deg": 0, "interlaced": False,
    }  # fmt: skip
    assert {name: facts[name] for name in wanted} == wanted
    rows = run("inspect", tmp_path / "a.mp4").stdout
    assert "duration_s     0.5" in rows


@pytest.mark.parametrize("name", ["a.gif", "a.webp"])
def test_an_animation_is_a_film_and_a_still_is_a_photo(name, run, tmp_path):
    from PIL import Image

    save_video(grays(), tmp_path / name, fps=20)
    assert json.loads(run("inspect", tmp_path / name, "--json").stdout)["frames"] == 12
    Image.fromarray(grays()[3]).save(tmp_path / f"still-{name}")
    assert d3.inspect(tmp_path / f"still-{name}").facts["type"] == "photo"


def test_a_damaged_film_is_a_sentence(run, tmp_path):
    (tmp_path / "a.mp4").write_text("no film\n" * 20)
    done = run("inspect", tmp_path / "a.mp4")
    assert done.exit_code == 1
    assert "is no film, or is damaged" in done.stderr
    assert done.stderr.count("\n") == 1


def test_a_report_of_a_film_is_refused(run, tmp_path):
    save_video(grays(), tmp_path / "a.mp4", fps=24)
    done = run("inspect", tmp_path / "a.mp4", "--report", tmp_path / "r.png")
    assert done.exit_code == 1
    assert "a report shows depth maps, clouds and meshes" in done.stderr
    assert not (tmp_path / "r.png").exists()
