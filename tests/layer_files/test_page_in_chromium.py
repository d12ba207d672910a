"""Pages in a browser: what they show at rest and moved is known in closed form; they say and ask nothing."""

from __future__ import annotations

import json
import time
from dataclasses import replace

import numpy as np
import pytest

from depth3d.layer_files import save_page
from depth3d.render.inverse_depth import span_of
from depth3d.render.views import render_views

pytestmark = pytest.mark.timeout(180)

VIEWS = [(1.0, 0.0), (-1.0, 0.0), (0.0, 1.0), (0.6, -0.8)]


@pytest.fixture(scope="module")
def path(disc_layers, tmp_path_factory):
    path = tmp_path_factory.mktemp("page") / "disc.html"
    save_page(disc_layers, path, title="A <disc> & a wall")
    return path


@pytest.fixture(scope="module")
def page(chromium, path, disc_layers):
    height, width = disc_layers.photo.shape[:2]
    return chromium.open(f"{path.as_uri()}#x=0&y=0", width=width, height=height)


@pytest.fixture
def law(disc_layers):
    """Pixels that a unit of inverse depth moves by at most, and the inverse depth that stands still."""
    far, near = span_of(disc_layers.front.inverse_depth)
    return disc_layers.reach_px / (near - far), (far + near) / 2


def test_at_rest_it_shows_the_photo(page, disc_layers, psnr):
    assert page.run("document.documentElement.dataset.state") == "ready"
    assert psnr(page.look(0, 0), disc_layers.photo) > 38


@pytest.mark.parametrize(("x", "y"), VIEWS)
def test_moved_it_shows_what_is_there(page, view_of_disc, law, psnr, x, y):
    shift, still = law
    shown = page.look(x, y)
    assert psnr(shown, view_of_disc((shift * x, shift * y), still)) > 33
    assert psnr(shown, view_of_disc((-shift * x, -shift * y), still)) < 22  # the sign matters


def test_it_moves_as_render_views_does(page, disc_layers, law, psnr):
    shift, still = law
    height, width = disc_layers.photo.shape[:2]
    margin = disc_layers.margin_px
    camera = disc_layers.camera.cropped(margin, margin, width, height)
    for x, y in VIEWS:
        pose = np.eye(4)
        pose[:2, 3] = shift * x / camera.fx, shift * y / camera.fy
        moved = replace(camera, cx=camera.cx + shift * x * still, cy=camera.cy + shift * y * still)
        expected = next(render_views(disc_layers, [pose], cameras=moved))
        assert psnr(page.look(x, y), expected) > 30


def test_fine_screens_get_fine_pictures(page, view_of_disc, law, psnr, disc_layers):
    height, width = disc_layers.photo.shape[:2]
    shift, still = law
    try:
        page.resize(width, height, ratio=2)
        page.frames(10)
        shown = page.look(0.6, -0.8)
        assert page.run("[view.width, view.height]") == [2 * width, 2 * height]
        assert psnr(shown, view_of_disc((0.6 * shift, -0.8 * shift), still, width=2 * width)) > 33
        page.resize(2 * width, height)  # wider than the photo: it stands in the middle
        page.frames(10)
        shown = page.look(0, 0)
        assert psnr(shown[:, width // 2 : -width // 2], disc_layers.photo) > 38
        assert (shown[:, : width // 2 - 1] == 17).all()
    finally:
        page.resize(width, height)
        page.frames(10)


def test_small_screens_get_averages(page, disc_layers, psnr):
    height, width = disc_layers.photo.shape[:2]
    try:
        page.resize(width // 2, height // 2)
        page.frames(10)
        blocks = disc_layers.photo.reshape(height // 2, 2, width // 2, 2, 3).mean(axis=(1, 3))
        assert psnr(page.look(0, 0), blocks) > 33
    finally:
        page.resize(width, height)
        page.frames(10)


def test_mouse_keys_fingers_and_tilt_move_it(chromium, path, page, disc_layers, psnr):
    height, width = disc_layers.photo.shape[:2]
    views = {view: page.look(*view) for view in [(0, 0), (1, 0), (-1, 0), (0, 1), (0.5, 0)]}
    live = chromium.open(path.as_uri(), width=width, height=height)

    def shows(*view):
        return comes_to(live, views[view], psnr)

    assert shows(0, 0)
    live.send("Input.dispatchMouseEvent", type="mouseMoved", x=width - 1, y=height / 2)
    assert shows(1, 0)
    live.send("Input.dispatchMouseEvent", type="mouseMoved", x=width / 2, y=height - 1)
    assert shows(0, 1)
    for key in ("Home", "ArrowRight", "ArrowRight"):
        live.send("Input.dispatchKeyEvent", type="keyDown", key=key, code=key)
        live.send("Input.dispatchKeyEvent", type="keyUp", key=key, code=key)
    assert shows(0.5, 0)
    live.send("Input.dispatchKeyEvent", type="keyDown", key="Home", code="Home")
    live.send("Emulation.setTouchEmulationEnabled", enabled=True)
    points = [{"x": width / 2, "y": height / 2}]
    live.send("Input.dispatchTouchEvent", type="touchStart", touchPoints=points)
    for share in (0.1, 0.2, 0.3):
        points = [{"x": width / 2 + share * height, "y": height / 2}]
        live.send("Input.dispatchTouchEvent", type="touchMove", touchPoints=points)
    live.send("Input.dispatchTouchEvent", type="touchEnd", touchPoints=[])
    assert shows(-1, 0)  # what is near went with the finger
    tilt(live, beta=30, gamma=0)
    tilt(live, beta=30, gamma=-40)
    assert shows(1, 0)  # the eye is now to the right of the phone
    tilt(live, beta=-20, gamma=0)
    assert shows(0, 1)  # and now below it


def test_on_ios_a_tap_asks_for_the_sensor(chromium, path, disc_layers, page, psnr):
    height, width = disc_layers.photo.shape[:2]
    script = "DeviceOrientationEvent.requestPermission = async () => window.answer"
    live = chromium.open(path.as_uri(), width=width, height=height, before=script)
    right, rest = page.look(1, 0), page.look(0, 0)
    assert live.run("tilt.innerHTML")
    for answer, shown in (("denied", rest), ("granted", right)):
        live.run(f"window.answer = '{answer}'; tilt.hidden = false; tilt.click()")
        assert live.run("tilt.hidden")
        live.frames(2)
        tilt(live, beta=30, gamma=0)
        tilt(live, beta=30, gamma=-40)
        time.sleep(0.5)
        assert comes_to(live, shown, psnr)


def comes_to(page, picture, psnr, seconds=15):
    """Wait until the motion has come to rest at a picture."""
    end = time.monotonic() + seconds
    while psnr(page.picture(), picture) < 34:
        if time.monotonic() > end:
            return False
        page.frames(5)
    return True


def tilt(page, **degrees):
    event = f"new DeviceOrientationEvent('deviceorientation', {json.dumps({'alpha': 0, **degrees})})"
    page.run(f"dispatchEvent({event})")


def test_it_moves_by_itself_unless_less_motion_is_wished(chromium, path, disc_layers):
    height, width = disc_layers.photo.shape[:2]
    for reduced in (True, False):
        live = chromium.open(path.as_uri(), width=width, height=height, reduced_motion=reduced)
        first = live.picture()
        time.sleep(3.5)
        assert np.array_equal(first, live.picture()) == reduced


def test_it_asks_for_nothing_and_complains_of_nothing(page, path):
    wanted = [event["request"]["url"] for event in page.said("Network.requestWillBeSent")]
    assert wanted[0].startswith(path.as_uri())
    assert all(address.startswith("data:image/") for address in wanted[1:])
    assert len(wanted) == 5
    assert page.said("Runtime.exceptionThrown", "Runtime.consoleAPICalled", "Log.entryAdded") == []
    assert page.run("view.getContext('webgl').getError()") == 0


def test_its_policy_stops_what_would_ask(chromium, path, page):
    script = """new Promise(done => {
        const picture = new Image();
        picture.onerror = () => done("stopped");
        picture.onload = () => done("loaded");
        picture.src = %s;
    })"""
    assert page.run(script % json.dumps("http://192.0.2.1/picture.png")) == "stopped"
    assert page.run("fetch('data:,x').then(() => 'loaded', () => 'stopped')") == "stopped"


def test_title_and_text_are_what_was_given(page):
    assert page.run("document.title") == "A <disc> & a wall"
    assert page.run("view.getAttribute('aria-label')") == "A <disc> & a wall"
    assert page.run("document.querySelectorAll('disc').length") == 0


def test_a_lost_context_comes_back(page, disc_layers, psnr):
    page.run("window.lose = view.getContext('webgl').getExtension('WEBGL_lose_context'); lose.loseContext()")
    page.frames(5)
    page.run("lose.restoreContext()")
    page.wait("!view.getContext('webgl').isContextLost()")
    page.frames(5)
    assert psnr(page.look(0, 0), disc_layers.photo) > 38


def test_pictures_too_large_for_the_hardware_are_told(chromium, path, disc_layers):
    height, width = disc_layers.photo.shape[:2]
    script = """const known = WebGLRenderingContext.prototype.getParameter;
        WebGLRenderingContext.prototype.getParameter = function (name) {
            return name === this.MAX_TEXTURE_SIZE ? 64 : known.call(this, name);
        };"""
    page = chromium.open(path.as_uri(), width=width, height=height, before=script)
    assert page.run("document.documentElement.dataset.state") == "error"
    assert "its pictures are too large for this graphics hardware" in page.run("message.textContent")
    assert page.run("getComputedStyle(photo).visibility") == "visible"


def test_without_webgl_it_says_so_and_shows_the_photo(start_chromium, path, disc_layers, psnr):
    page = start_chromium("--disable-3d-apis").open(path.as_uri(), width=800, height=700)
    assert page.run("document.documentElement.dataset.state") == "error"
    assert "WebGL" in page.run("message.textContent")
    top, bottom, width = page.run(
        "(box => [box.top, box.bottom, box.width])(message.getBoundingClientRect())"
    )
    assert 0 < top < bottom <= 700
    assert width > 300
    page.resize(disc_layers.photo.shape[1], disc_layers.photo.shape[0])
    page.run("message.remove()")
    page.frames()
    assert psnr(page.picture(), disc_layers.photo) > 33
