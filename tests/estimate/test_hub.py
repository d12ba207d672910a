"""The hub, played by a folder: cache, download, hashes, and no network."""

from __future__ import annotations

import hashlib
import json
import os
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from dataclasses import replace
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import huggingface_hub
import pytest
from huggingface_hub import constants

from depth3d.errors import CheckpointError, ModelUnavailableError
from depth3d.estimate.hub import cached_folder, download, fetch, is_cached
from depth3d.estimate.registry import MODELS, model_card

CARD = MODELS["base"]
SHA = "0123456789012345678901234567890123456789"


@pytest.fixture
def cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """An empty cache, where the library looks for it."""
    monkeypatch.setattr(constants, "HF_HUB_CACHE", str(tmp_path))
    return tmp_path


def _put(cache: Path, hub_id: str, revision: str, *names: str) -> Path:
    root = cache / f"models--{hub_id.replace('/', '--')}"
    folder = root / "snapshots" / revision
    folder.mkdir(parents=True)
    (root / "refs").mkdir()
    (root / "refs" / "main").write_text(revision)
    for name in names:
        (folder / name).write_text("{}")
    return folder


@pytest.mark.parametrize(
    ("names", "complete"),
    [
        (("config.json", "model.safetensors"), True),
        (("config.json", "pytorch_model.bin"), True),
        (("config.json",), False),
        (("model.safetensors",), False),
        (("config.json", "model.safetensors.index.json"), False),  # an index that names nothing
        ((), False),
    ],
)
def test_a_network_is_cached_when_all_of_it_is_there(
    cache: Path, names: tuple[str, ...], complete: bool
) -> None:
    folder = _put(cache, CARD.hub_id, SHA, *names)
    assert is_cached(CARD) is complete
    assert cached_folder(CARD) == (folder if complete else None)


def test_all_shards_must_be_there(cache: Path) -> None:
    folder = _put(cache, CARD.hub_id, SHA, "config.json", "a.safetensors")
    index = folder / "model.safetensors.index.json"
    index.write_text('{"weight_map": {"x": "a.safetensors", "y": "b.safetensors"}}')
    assert not is_cached(CARD)
    (folder / "b.safetensors").write_text("")
    assert is_cached(CARD)


def test_the_pinned_revision_is_preferred_and_any_is_used(cache: Path) -> None:
    small = MODELS["small"]
    newest = _put(cache, small.hub_id, SHA, "config.json", "model.safetensors")
    assert cached_folder(small) == newest
    assert small.revision is not None
    pinned = newest.parent / small.revision
    pinned.mkdir()
    for name in ("config.json", "model.safetensors"):
        (pinned / name).write_text("{}")
    assert cached_folder(small) == pinned
    assert fetch(small) == pinned


def test_without_a_network_it_fails_at_once_and_names_the_ways_out(
    cache: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(constants, "HF_HUB_OFFLINE", False)
    monkeypatch.setattr(constants, "ENDPOINT", "http://127.0.0.1:9")
    start = time.monotonic()
    with pytest.raises(ModelUnavailableError) as caught:
        fetch(CARD)
    assert time.monotonic() - start < 5
    sentence = str(caught.value)
    assert all(way in sentence for way in ("local directory", "--depth FILE", "depth3d models download base"))
    assert "\n" not in sentence


def test_offline_mode_asks_nobody(cache: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(constants, "HF_HUB_OFFLINE", True)
    monkeypatch.setattr(huggingface_hub.HfApi, "model_info", lambda *a, **k: pytest.fail("asked the hub"))
    with pytest.raises(ModelUnavailableError, match="HF_HUB_OFFLINE is set"):
        fetch(CARD)


def test_a_hub_that_never_answers_is_given_up_in_time(cache: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Whatever the client's own limit: it counts for each address and each attempt."""
    done = threading.Event()
    monkeypatch.setattr(constants, "HF_HUB_OFFLINE", False)
    monkeypatch.setattr(sys.modules["depth3d.estimate.hub"], "_TIMEOUT_S", 0.1)
    monkeypatch.setattr(huggingface_hub.HfApi, "model_info", lambda *a, **k: done.wait(60))
    began = time.monotonic()
    with pytest.raises(ModelUnavailableError, match=r"no answer within 0\.1 s"):
        fetch(CARD)
    assert time.monotonic() - began < 30
    done.set()


class _FakeHub:
    """Hands out files from a dictionary as the hub would."""

    def __init__(
        self, folder: Path, files: dict[str, bytes], announced: dict[str, str] | None = None
    ) -> None:
        self.folder, self.files, self.announced = folder, files, announced or {}
        self.fetched: list[str] = []

    def model_info(self, repo_id: str, **kwargs: Any) -> Any:
        siblings = [
            SimpleNamespace(
                rfilename=name,
                lfs=SimpleNamespace(sha256=self.announced.get(name) or hashlib.sha256(data).hexdigest())
                if len(data) > 100
                else None,
            )
            for name, data in self.files.items()
        ]
        return SimpleNamespace(sha=SHA, siblings=siblings)

    def hf_hub_download(
        self, repo_id: str, name: str, *, revision: str | None, tqdm_class: Any = None
    ) -> str:
        assert revision is None  # the branch: under a commit's name the cache would not find it again
        self.fetched.append(name)
        path = self.folder / name
        path.write_bytes(self.files[name])
        if tqdm_class is not None:
            with tqdm_class(total=len(self.files[name]), unit="B", desc=name) as bar:
                for chunk in (self.files[name][:150], self.files[name][150:]):
                    bar.update(len(chunk))
        return str(path)

    def install(self, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr(constants, "HF_HUB_OFFLINE", False)
        monkeypatch.setattr(
            huggingface_hub.HfApi, "model_info", lambda api, repo_id, **k: self.model_info(repo_id, **k)
        )
        monkeypatch.setattr(huggingface_hub, "hf_hub_download", self.hf_hub_download)


FILES = {
    "config.json": b"{}",
    "README.md": b"x",
    "model.safetensors": b"w" * 400,
    "pytorch_model.bin": b"p" * 400,
}


def test_a_download_takes_what_is_needed_and_reports_the_weights(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    hub = _FakeHub(tmp_path, FILES)
    hub.install(monkeypatch)
    steps: list[float] = []
    assert download(CARD, on_progress=steps.append) == tmp_path
    assert hub.fetched == ["config.json", "model.safetensors"]
    assert steps == [150, 250]
    assert capfd.readouterr().err == ""


def test_shards_come_with_their_index(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    names = ("model.safetensors.index.json", "model-1-of-2.safetensors", "model-2-of-2.safetensors")
    hub = _FakeHub(tmp_path, {"config.json": b"{}", **dict.fromkeys(names, b"{}")})
    hub.install(monkeypatch)
    download(CARD)
    assert hub.fetched == ["config.json", *names]


@pytest.mark.parametrize("ours", [True, False], ids=["hash of the registry", "hash of the hub"])
def test_a_wrong_hash_is_refused_and_removed(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, ours: bool
) -> None:
    other = hashlib.sha256(b"other").hexdigest()
    _FakeHub(tmp_path, FILES, {} if ours else {"model.safetensors": other}).install(monkeypatch)
    card = replace(CARD, sha256=other) if ours else CARD
    with pytest.raises(CheckpointError, match=f"expected {other[:12]}"):
        download(card)
    assert not (tmp_path / "model.safetensors").exists()


def test_a_repository_without_weights(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    _FakeHub(tmp_path, {"README.md": b"x"}).install(monkeypatch)
    with pytest.raises(ModelUnavailableError, match="holds no model"):
        download(model_card("some/thing"))


class _Mirror(BaseHTTPRequestHandler):
    """As much of a hub as a download needs: `/api/models/...` and `/.../resolve/...`."""

    def do_GET(self) -> None:
        if self.path.startswith("/api/models/"):
            siblings = [
                {"rfilename": name, "size": len(data), "lfs": _lfs(data) if len(data) > 100 else None}
                for name, data in FILES.items()
            ]
            self._answer(json.dumps({"id": CARD.hub_id, "sha": SHA, "siblings": siblings}).encode())
        else:
            self._answer(FILES[self.path.rpartition("/")[2]])

    def do_HEAD(self) -> None:
        self.do_GET()

    def _answer(self, body: bytes) -> None:
        self.send_response(200)
        headers = {"Content-Length": len(body), "ETag": f'"{_lfs(body)["sha256"]}"', "X-Repo-Commit": SHA}
        for name, value in headers.items():
            self.send_header(name, str(value))
        self.end_headers()
        if self.command == "GET":
            self.wfile.write(body)

    def log_message(self, *_: Any) -> None:
        """Say nothing."""


def _lfs(data: bytes) -> dict[str, Any]:
    return {"sha256": hashlib.sha256(data).hexdigest(), "size": len(data), "pointerSize": 134}


@pytest.fixture
def mirror() -> Iterator[str]:
    """The address of a hub on this machine."""
    with ThreadingHTTPServer(("127.0.0.1", 0), _Mirror) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        yield f"http://127.0.0.1:{server.server_port}"
        server.shutdown()


@pytest.mark.parametrize("card", [CARD, replace(CARD, revision=SHA)], ids=["newest", "pinned"])
def test_what_was_downloaded_is_found_again_offline(tmp_path: Path, mirror: str, card: Any) -> None:
    """The real client, with the variables that people set: HF_ENDPOINT, HF_HOME, HF_HUB_OFFLINE."""
    code = (
        "from dataclasses import replace\n"
        "from depth3d.estimate import hub, registry\n"
        f"card = replace(registry.MODELS['base'], revision={card.revision!r})\n"
    )

    def python(line: str, **variables: str) -> str:
        environ = {name: value for name, value in os.environ.items() if not name.startswith("HF_")}
        environ |= {"HF_HOME": str(tmp_path), "HF_ENDPOINT": mirror, "NO_PROXY": "127.0.0.1"} | variables
        done = subprocess.run(
            [sys.executable, "-c", code + line], env=environ, capture_output=True, text=True
        )
        assert done.returncode == 0, done.stderr
        return done.stdout.strip()

    fetched = python("print(hub.download(card))")
    assert fetched.startswith(str(tmp_path))
    assert {path.name for path in Path(fetched).iterdir()} == {"config.json", "model.safetensors"}
    assert python("print(hub.fetch(card))", HF_HUB_OFFLINE="1") == fetched
    again = python(
        "try: hub.download(card)\nexcept Exception as error: print(error)", HF_ENDPOINT="http://127.0.0.1:9"
    )
    assert "on this machine already" in again
