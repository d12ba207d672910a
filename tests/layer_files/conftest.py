"""Layers whose every view is known in closed form, and a Chromium to look at pages with."""

from __future__ import annotations

import base64
import fcntl
import io
import json
import os
import selectors
import shutil
import subprocess
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from depth3d.core.camera import Camera
from depth3d.core.color import to_linear, to_srgb
from depth3d.render.sheets import Layers, Sheet

WIDTH, HEIGHT, MARGIN, REACH_PX = 240, 180, 14, 12.0
WALL, CARD = (0.30, 0.0004, 0.0002), (0.80, -0.0005, 0.0003)
"""Inverse depth at the photo's corner, and its steps to the right and down."""
CENTRE, RADIUS = (110.0, 95.0), 48.0


def plane(law: tuple[float, float, float], u: Any, v: Any) -> Any:
    return law[0] + law[1] * u + law[2] * v


def colors(u: Any, v: Any, *, of_card: bool) -> np.ndarray:
    """Smooth and different everywhere, so that any misplacement shows."""
    if of_card:
        channels = (200 + 40 * np.sin(u / 9), 90 + 50 * np.sin(v / 7), 40 + 0 * u)
    else:
        channels = (60 + 0.2 * u, 110 + 60 * np.sin(u / 11 + v / 17), 170 + 50 * np.cos(v / 12))
    return np.stack(np.broadcast_arrays(*channels), axis=-1)


def disc(u: Any, v: Any) -> Any:
    """Coverage of the card: 1 inside, falling to 0 over two pixels."""
    return np.clip((RADIUS - np.hypot(u - CENTRE[0], v - CENTRE[1])) / 2 + 0.5, 0, 1)


def true_view(shift_px: tuple[float, float], still: float, width: int = WIDTH) -> np.ndarray:
    """See the wall and the card in front of it from where q moves by `shift * (q - still)` pixels."""
    height = round(HEIGHT * width / WIDTH)
    scale = WIDTH / width
    x, y = np.meshgrid((np.arange(width) + 0.5) * scale, (np.arange(height) + 0.5) * scale)
    seen = {}
    for name, law in (("wall", WALL), ("card", CARD)):
        # x = u - sx (q(u, v) - still), y alike: two linear equations for (u, v).
        sx, sy = shift_px
        matrix = np.array([[1 - sx * law[1], -sx * law[2]], [-sy * law[1], 1 - sy * law[2]]])
        known = np.stack([x + sx * (law[0] - still), y + sy * (law[0] - still)], axis=-1)
        seen[name] = np.moveaxis(known @ np.linalg.inv(matrix).T, -1, 0)
    wall, card = (colors(*seen[name], of_card=name == "card") for name in ("wall", "card"))
    share = disc(*seen["card"])[..., None]
    to_light = lambda c: to_linear(np.rint(c).astype(np.uint8))  # noqa: E731
    return to_srgb(share * to_light(card) + (1 - share) * to_light(wall))


@pytest.fixture(scope="session")
def disc_layers() -> Layers:
    """A round card in front of a wall, both slanted; the wall is known behind the card, too."""
    u, v = np.meshgrid(
        np.arange(WIDTH + 2 * MARGIN) + 0.5 - MARGIN, np.arange(HEIGHT + 2 * MARGIN) + 0.5 - MARGIN
    )
    share = disc(u, v)
    is_card = share > 0
    card, wall = (np.rint(colors(u, v, of_card=kind)).astype(np.uint8) for kind in (True, False))
    q_wall, q_card = (plane(law, u, v).astype(np.float32) for law in (WALL, CARD))
    edge = {"joined_right": (0, 1), "joined_down": (1, 0)}

    def joints(surface: np.ndarray) -> dict[str, np.ndarray]:
        found = {}
        for name, (down, right) in edge.items():
            joined = surface == np.roll(surface, (-down, -right), (0, 1))
            joined[-down or None :, -right or None :] &= False
            if down:
                joined[-1] = False
            else:
                joined[:, -1] = False
            found[name] = joined
        return found

    def sheet(color: np.ndarray, q: np.ndarray, alpha: Any, surface: np.ndarray) -> Sheet:
        coverage = np.broadcast_to(np.asarray(alpha, np.float32), q.shape)
        joined = {name: flags & (coverage > 0) for name, flags in joints(surface).items()}
        return Sheet(color, q, coverage, **joined)

    front_color = np.where(is_card[..., None], card, wall)
    front_q = np.where(is_card, q_card, q_wall)
    behind = np.hypot(u - CENTRE[0], v - CENTRE[1]) < RADIUS + 5
    everywhere = np.ones(u.shape, np.bool_)
    camera = Camera(200.0, 200.0, WIDTH / 2 + MARGIN, HEIGHT / 2 + MARGIN, u.shape[1], u.shape[0])
    photo = to_srgb(share[..., None] * to_linear(front_color) + (1 - share[..., None]) * to_linear(wall))
    return Layers(
        front=sheet(front_color, front_q, np.where(is_card, share, 1), is_card),
        back=sheet(wall, q_wall, behind, behind),
        backdrop=sheet(wall, q_wall * np.float32(0.9), 1, everywhere),
        camera=camera,
        margin_px=MARGIN,
        reach_px=REACH_PX,
        photo=np.ascontiguousarray(photo[MARGIN:-MARGIN, MARGIN:-MARGIN]),
        is_metric=True,
    )


@pytest.fixture(scope="session")
def view_of_disc() -> Callable[..., np.ndarray]:
    """The closed form of what `disc_layers` shows."""
    return true_view


@pytest.fixture(scope="session")
def psnr() -> Callable[[np.ndarray, np.ndarray], float]:
    def decibels(one: np.ndarray, other: np.ndarray) -> float:
        error = np.mean((one.astype(np.float64) - other) ** 2)
        return float(10 * np.log10(255**2 / max(error, 1e-9)))

    return decibels


# -- Chromium, driven by its DevTools protocol over a pipe: JSON texts that end with a NUL ---------------


@dataclass(eq=False)
class Page:
    """A page that is open; what it says, asks for and throws is kept."""

    browser: Chromium
    session: str

    def send(self, method: str, **parameters: Any) -> dict[str, Any]:
        return self.browser.send(method, self.session, **parameters)

    def run(self, script: str) -> Any:
        answer = self.send("Runtime.evaluate", expression=script, returnByValue=True, awaitPromise=True)
        return answer["result"].get("value")

    def wait(self, script: str, seconds: float = 30) -> None:
        end = time.monotonic() + seconds
        while not self.run(script):
            assert time.monotonic() < end, f"{script} did not come true in {seconds} s"
            time.sleep(0.05)

    def frames(self, count: int = 3) -> None:
        next_frame = "new Promise(requestAnimationFrame)"
        self.run(f"(async () => {{ for (let n = 0; n < {count}; n++) await {next_frame}; }})()")

    def look(self, x: float, y: float) -> np.ndarray:
        self.run(f"location.hash = 'x={x}&y={y}'")
        self.frames()
        return self.picture()

    def picture(self) -> np.ndarray:
        from PIL import Image

        data = self.send("Page.captureScreenshot", format="png")["data"]
        return np.asarray(Image.open(io.BytesIO(base64.b64decode(data))).convert("RGB"))

    def resize(self, width: int, height: int, ratio: float = 1, *, touch: bool = False) -> None:
        self.send(
            "Emulation.setDeviceMetricsOverride",
            width=width, height=height, deviceScaleFactor=ratio, mobile=touch,
        )  # fmt: skip

    def said(self, *methods: str) -> list[dict[str, Any]]:
        mine = [event for event in self.browser.events if event.get("sessionId") == self.session]
        return [event["params"] for event in mine if event["method"] in methods]


class Chromium:
    """A browser without a window and without a network."""

    def __init__(self, program: str, profile: Path, *flags: str) -> None:
        theirs, self._output = os.pipe()
        self._input, to_us = os.pipe()
        # The protocol wants descriptors 3 and 4, whatever ours are; out of their way first.
        their_ends = [fcntl.fcntl(end, fcntl.F_DUPFD_CLOEXEC, 10) for end in (theirs, to_us)]

        def hand_over() -> None:
            os.dup2(their_ends[0], 3)
            os.dup2(their_ends[1], 4)

        command = [
            program, "--headless", "--no-sandbox", "--disable-dev-shm-usage", "--no-first-run",
            "--hide-scrollbars", "--use-gl=angle", "--use-angle=swiftshader", "--enable-unsafe-swiftshader",
            "--host-resolver-rules=MAP * ~NOTFOUND", "--remote-debugging-pipe",
            f"--user-data-dir={profile}", *flags, "about:blank",
        ]  # fmt: skip
        self._process = subprocess.Popen(
            command, preexec_fn=hand_over, close_fds=False,
            stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL,
        )  # fmt: skip
        for end in (theirs, to_us, *their_ends):
            os.close(end)
        self._buffer, self._count = b"", 0
        self.events: list[dict[str, Any]] = []

    def send(self, method: str, session: str | None = None, **parameters: Any) -> dict[str, Any]:
        self._count += 1
        message = {"id": self._count, "method": method, "params": parameters}
        if session:
            message["sessionId"] = session
        os.write(self._output, json.dumps(message).encode() + b"\0")
        while True:
            answer = self._read(60)
            if answer.get("id") == self._count:
                assert "error" not in answer, f"{method}: {answer['error']}"
                return dict(answer["result"])
            self.events.append(answer)

    def open(
        self, address: str, *, width: int, height: int, reduced_motion: bool = True, before: str = ""
    ) -> Page:
        target = self.send("Target.createTarget", url="about:blank")["targetId"]
        page = Page(self, self.send("Target.attachToTarget", targetId=target, flatten=True)["sessionId"])
        for domain in ("Page", "Runtime", "Network", "Log"):
            page.send(f"{domain}.enable")
        wish = "reduce" if reduced_motion else "no-preference"
        page.send("Emulation.setEmulatedMedia", features=[{"name": "prefers-reduced-motion", "value": wish}])
        page.send("Page.addScriptToEvaluateOnNewDocument", source=before)
        page.resize(width, height)
        page.send("Page.navigate", url=address)
        page.wait("['ready', 'error'].includes(document.documentElement.dataset.state)")
        return page

    def close(self) -> None:
        try:
            self.send("Browser.close")
            self._process.wait(10)
        except (AssertionError, OSError, EOFError, TimeoutError, subprocess.TimeoutExpired):
            self._process.kill()
            self._process.wait(10)
        os.close(self._output)
        os.close(self._input)

    def _read(self, seconds: float) -> dict[str, Any]:
        end = time.monotonic() + seconds
        with selectors.DefaultSelector() as selector:
            selector.register(self._input, selectors.EVENT_READ)
            while b"\0" not in self._buffer:
                if not selector.select(max(0, end - time.monotonic())):
                    raise TimeoutError(f"Chromium said nothing for {seconds} s")
                data = os.read(self._input, 1 << 20)
                if not data:
                    raise EOFError("Chromium has ended")
                self._buffer += data
        text, _, self._buffer = self._buffer.partition(b"\0")
        return dict(json.loads(text))


@pytest.fixture(scope="session")
def start_chromium(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Callable[..., Chromium]]:
    """Start the Chromium that DEPTH3D_CHROMIUM names, or one on the PATH; skip where there is none."""
    names = ("chromium", "chromium-browser", "google-chrome", "chrome", "chrome-headless-shell")
    program = os.environ.get("DEPTH3D_CHROMIUM") or next(filter(None, map(shutil.which, names)), None)
    if program is None:
        pytest.skip("no Chromium on the PATH; name one in DEPTH3D_CHROMIUM")
    started: list[Chromium] = []

    def start(*flags: str) -> Chromium:
        started.append(Chromium(program, tmp_path_factory.mktemp("profile"), *flags))
        return started[-1]

    yield start
    for browser in started:
        browser.close()


@pytest.fixture(scope="session")
def chromium(start_chromium: Callable[..., Chromium]) -> Chromium:
    return start_chromium()
