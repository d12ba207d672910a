"""Pages without a browser: nothing in them asks for anything, and their pictures give the photo back."""

from __future__ import annotations

import base64
import hashlib
import io
import json
import re
import shutil
import subprocess
from dataclasses import replace
from html.parser import HTMLParser

import numpy as np
import pytest
from PIL import Image

import depth3d as d3
from depth3d.errors import FileError, InputError, OutputExistsError, UnsupportedFormatError
from depth3d.layer_files import save_page
from depth3d.render.patches import GUTTER

EMPTY = ("meta", "img", "link", "br", "input")


class Elements(HTMLParser):
    """Every element with its attributes and text; what is open must be closed."""

    def __init__(self, text: str) -> None:
        super().__init__(convert_charrefs=True)
        self.found, self._open = [], []
        self.feed(text)
        self.close()
        assert self._open == []

    def handle_starttag(self, tag, attrs):
        self.found.append((tag, dict(attrs), []))
        if tag not in EMPTY:
            self._open.append(self.found[-1])

    def handle_endtag(self, tag):
        assert self._open.pop()[0] == tag

    def handle_data(self, data):
        if self._open:
            self._open[-1][2].append(data)

    def of(self, name):
        return [(attrs, "".join(texts)) for tag, attrs, texts in self.found if tag == name]

    def by_id(self, name):
        return next((attrs, "".join(texts)) for _, attrs, texts in self.found if attrs.get("id") == name)

    def picture(self, name):
        head, _, data = self.by_id(name)[0]["src"].partition(",")
        assert re.fullmatch(r"data:image/(jpeg|png);base64", head)
        return np.asarray(Image.open(io.BytesIO(base64.b64decode(data))))


@pytest.fixture(scope="module")
def path(disc_layers, tmp_path_factory):
    path = tmp_path_factory.mktemp("page") / "disc.html"
    d3.save(disc_layers, path)
    return path


@pytest.fixture(scope="module")
def elements(path):
    return Elements(path.read_text(encoding="utf-8"))


def test_it_names_no_other_place(elements):
    asks = r"https?:|//\w|@import|url\(|\bfetch\(|XMLHttpRequest|WebSocket|import\(|sendBeacon|eval\("
    for tag in ("script", "style"):
        for attrs, text in elements.of(tag):
            assert attrs.get("id") == "numbers" or not re.search(asks, text)
    for tag, attrs, _ in elements.found:
        assert tag not in ("link", "iframe", "object", "embed", "base", "form", "audio", "video", "a")
        for name, value in attrs.items():
            assert not name.startswith("on"), f"{tag} has a handler"
            if name in ("src", "href", "srcset", "action"):
                assert value.startswith("data:image/")


def test_its_policy_names_its_script_and_its_style_and_nothing_else(elements):
    policy = next(
        a["content"] for a, _ in elements.of("meta") if a.get("http-equiv") == "Content-Security-Policy"
    )
    rules = dict(rule.strip().split(" ", 1) for rule in policy.split(";"))
    assert rules["default-src"] == rules["base-uri"] == rules["form-action"] == "'none'"
    assert rules["img-src"] == "data:"
    running = [text for attrs, text in elements.of("script") if "type" not in attrs]
    for name, (text,) in (("script-src", running), ("style-src", [t for _, t in elements.of("style")])):
        digest = base64.b64encode(hashlib.sha256(text.encode()).digest()).decode()
        assert rules[name] == f"'sha256-{digest}'"


def test_its_pictures_give_the_photo_back(elements, disc_layers, psnr):
    """At rest each patch covers its own cell: lay the tiles over one another, far to near, and compare."""
    facts = json.loads(elements.by_id("facts")[1])
    margin, (height, width) = disc_layers.margin_px, disc_layers.photo.shape[:2]
    texture = elements.picture("photo")
    inside = texture[margin : margin + height, margin : margin + width]
    assert psnr(inside, disc_layers.photo) > 38  # it stands in where nothing can move
    numbers = np.frombuffer(base64.b64decode(elements.by_id("numbers")[1]), "<u2")
    grid, patches, side = facts["grid"], facts["patches"], facts["tiles"]["side"]
    starts = np.cumsum([
        (2 * grid["rows"] + 1) * (2 * grid["cols"] + 1),
        (2 * facts["backdrop"]["rows"] + 1) * (2 * facts["backdrop"]["cols"] + 1),
        2 * facts["whole"], 2 * patches, patches, 9 * patches,
    ])  # fmt: skip
    assert starts[-1] == len(numbers)
    lattice, _, whole, cells, of_back, depths = np.split(numbers, starts[:-1])
    canvas = np.full(texture.shape, 255.0)
    cell = grid["cell"]
    tiles, coverage = elements.picture("tiles"), elements.picture("coverage")
    lattice = lattice.reshape(2 * grid["rows"] + 1, -1).astype(np.float64)
    nearness = depths.reshape(-1, 9).mean(axis=1)
    assert (np.diff(nearness) >= -1).all(), "far to near"
    assert set(of_back) == {0, 1}
    laid = []
    for row, col in whole.reshape(-1, 2):
        colors = texture[row * cell : (row + 1) * cell, col * cell : (col + 1) * cell]
        near = lattice[2 * row : 2 * row + 3, 2 * col : 2 * col + 3].mean()
        laid.append((near, row, col, colors, np.ones((cell, cell, 1))))
    for number, (row, col) in enumerate(cells.reshape(-1, 2)):
        top, left = (GUTTER + side * n for n in divmod(number, facts["tiles"]["columns"]))
        there = np.s_[top : top + cell, left : left + cell]
        laid.append((nearness[number], row, col, tiles[there], coverage[there][..., None] / 255.0))
    for _, row, col, colors, share in sorted(laid, key=lambda square: square[0]):
        here = np.s_[row * cell : (row + 1) * cell, col * cell : (col + 1) * cell]
        canvas[here] = share * colors + (1 - share) * canvas[here]
    shown = canvas[margin : margin + height, margin : margin + width]
    assert psnr(shown, disc_layers.photo) > 38
    assert np.abs(shown - disc_layers.photo).max() < 30


def test_titles_and_texts_are_escaped(disc_layers, tmp_path):
    nasty = "</title><script>alert('1')</script> \" & $alt"
    path = tmp_path / "page.html"
    save_page(disc_layers, path, title=nasty, alt=nasty + " é")
    elements = Elements(path.read_text(encoding="utf-8"))
    assert elements.of("title")[0][1] == nasty
    assert elements.by_id("view")[0]["aria-label"] == elements.by_id("photo")[0]["alt"] == nasty + " é"
    assert len([a for a, _ in elements.of("script") if "type" not in a]) == 1


def test_the_title_is_the_files_name(elements):
    assert elements.of("title")[0][1] == "disc"


def test_strength_and_pivot_set_the_motion(disc_layers, tmp_path):
    def facts(**options):
        save_page(disc_layers, tmp_path / "page.html", **options)
        return json.loads(Elements((tmp_path / "page.html").read_text(encoding="utf-8")).by_id("facts")[1])

    full, half, still = facts(), facts(strength=0.5), facts(pivot=(110, 95))
    assert facts(pivot_disparity=0.4)["still"] == 0.4
    assert half["shift"] == pytest.approx(full["shift"] / 2)
    assert still["still"] == pytest.approx(disc_layers.front.inverse_depth[95 + 14, 110 + 14])
    span = np.ptp(np.percentile(disc_layers.front.inverse_depth, [0.1, 99.9]))
    assert full["shift"] * span == pytest.approx(disc_layers.reach_px, rel=1e-4)


def test_nothing_beyond_the_margin_comes_into_the_picture(disc_layers, tmp_path):
    path = tmp_path / "page.html"
    inverse_depth = disc_layers.front.inverse_depth
    for still in (inverse_depth.min(), inverse_depth.max(), 2 * inverse_depth.max()):
        save_page(disc_layers, path, pivot_disparity=float(still))
        shift = json.loads(Elements(path.read_text(encoding="utf-8")).by_id("facts")[1])["shift"]
        edge = np.percentile(np.abs(inverse_depth - still), 99.9)
        assert 0 < shift * edge <= disc_layers.margin_px * 1.001


def test_large_layers_are_averaged_down_and_triangles_bounded(disc_layers, tmp_path, psnr):
    path = tmp_path / "page.html"
    save_page(disc_layers, path, max_side_px=140, max_faces=3000)
    elements = Elements(path.read_text(encoding="utf-8"))
    facts = json.loads(elements.by_id("facts")[1])
    assert facts["grid"]["side"] == 2 * facts["grid"]["cell"]
    cells = facts["backdrop"]["rows"] * facts["backdrop"]["cols"]
    assert 8 * (facts["whole"] + facts["patches"] + cells) <= 3000
    photo = elements.picture("photo")[7 : 7 + 90, 7 : 7 + 120]
    blocks = disc_layers.photo.reshape(90, 2, 120, 2, 3).mean(axis=(1, 3))
    assert psnr(photo, blocks) > 36


def test_flat_layers_stand_still(disc_layers, tmp_path):
    flat = np.full_like(disc_layers.front.inverse_depth, 0.5)
    sheets = {
        name: replace(getattr(disc_layers, name), inverse_depth=flat)
        for name in ("front", "back", "backdrop")
    }
    save_page(replace(disc_layers, **sheets), tmp_path / "flat.html")
    facts = json.loads(Elements((tmp_path / "flat.html").read_text(encoding="utf-8")).by_id("facts")[1])
    assert facts["shift"] == 0


@pytest.mark.parametrize(
    ("options", "words"),
    [
        ({"strength": 1.5}, "strength must be 0..1"),
        ({"strength": float("nan")}, "strength must be 0..1"),
        ({"pivot": (240, 10)}, "pivot must be a pixel of the 240x180 photo"),
        ({"pivot_disparity": -1.0}, "pivot_disparity must be 0 or more"),
        ({"max_side_px": 0}, "max_side_px must be a whole number of at least 1"),
        ({"max_faces": 1.5}, "max_faces must be a whole number of at least 1"),
    ],
)
def test_bad_options_are_refused_before_anything_is_written(disc_layers, tmp_path, options, words):
    with pytest.raises(InputError, match=re.escape(words)):
        save_page(disc_layers, tmp_path / "page.html", **options)
    assert list(tmp_path.iterdir()) == []


def test_files_are_kept_and_suffixes_known(disc_layers, tmp_path):
    path = tmp_path / "page.html"
    path.write_text("mine")
    with pytest.raises(OutputExistsError):
        d3.save(disc_layers, path, overwrite=False)
    assert path.read_text() == "mine"
    with pytest.raises(UnsupportedFormatError, match=r"\.html or \.glb"):
        d3.save(disc_layers, tmp_path / "page.obj")
    with pytest.raises(FileError):
        d3.save(disc_layers, tmp_path / "nowhere" / "page.html")


def test_the_script_is_one_that_runs(elements, tmp_path):
    node = shutil.which("node")
    if node is None:
        pytest.skip("no node on the PATH to check the script with")
    script = next(text for attrs, text in elements.of("script") if "type" not in attrs)
    (tmp_path / "viewer.js").write_text(script, encoding="utf-8")
    subprocess.run([node, "--check", tmp_path / "viewer.js"], check=True, timeout=60)
