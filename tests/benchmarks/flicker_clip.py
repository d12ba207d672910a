"""Flicker of a real film, where there is no truth, and what steadying costs."""

from __future__ import annotations

import statistics
import time
from itertools import pairwise
from pathlib import Path
from typing import Any

import contract
import cv2
import numpy as np

import depth3d as d3
from depth3d.estimate.motion import motions, sketch
from depth3d.estimate.steady_depth import steady

WIDTH = 480
STILL_PX = 0.15


def measured(path: Path, count: int, strip: Path | None, model: str = "mini") -> dict[str, Any]:
    """Measure pixels that the flow leaves where they are, from each frame to the next."""
    images = frames_of(path, count)
    estimator = d3.DepthEstimator.from_pretrained(model, device="cpu")
    raw = list(estimator.stream(images))
    films = {"raw": raw}
    for mode in ("causal", "offline"):
        films[mode] = list(steady(zip(images, raw, strict=True), mode=mode))  # type: ignore[arg-type]
    still = still_pixels(images)
    report: dict[str, Any] = {"frames": len(images), "still_share": float(np.mean([s.mean() for s in still]))}
    for name, depths in films.items():
        maps = np.stack([depth.values for depth in depths])
        changes = [np.square(b - a)[s] for a, b, s in zip(maps, maps[1:], still, strict=False) if s.any()]
        report[name] = {
            "flicker_percent": 100 * float(np.sqrt(np.concatenate(changes).mean()) / maps.std()),
            "spread": float(maps.std()),
        }
    if strip:
        draw(strip, images, films)
    return report


def frames_of(path: Path, count: int) -> list[Any]:
    with d3.open_video(path, max_frames=count, size=WIDTH) as film:
        return [frame.image for frame in film.frames()]


def still_pixels(images: list[Any]) -> list[Any]:
    """For each frame but the first: where neither flow nor picture sees a change from the frame before."""
    result = []
    for before, after in pairwise(images):
        later, earlier = sketch(after, WIDTH), sketch(before, WIDTH)
        back, _ = motions(later, earlier)
        still = (np.linalg.norm(back.flow, axis=2) < STILL_PX) & (back.trust > 0.8)
        result.append(still & (cv2.absdiff(later.gray, earlier.gray) < 8))
    return result


def draw(path: Path, images: list[Any], films: dict[str, Any]) -> None:
    """Draw six frames in a row: photo, and each film in its own fixed range of colours."""
    chosen = np.linspace(len(images) // 2, len(images) // 2 + 5, 6).astype(int)
    rows = [np.hstack([images[k] for k in chosen])]
    for depths in films.values():
        maps = np.stack([depth.values for depth in depths])
        low, high = np.nanpercentile(maps, (1, 99))
        shown = [np.clip((maps[k] - low) / (high - low) * 255, 0, 255).astype(np.uint8) for k in chosen]
        rows.append(np.hstack([cv2.applyColorMap(s, cv2.COLORMAP_TURBO)[..., ::-1] for s in shown]))
    d3.save(np.ascontiguousarray(np.vstack(rows)), path, overwrite=True)


def cost(frames: int = 24) -> contract.Tables:
    """Time 1080p frames of a turning camera on one core, in processor time, and their peak memory."""
    chance = np.random.default_rng(0)
    size = (1080, 2400)
    wide = cv2.GaussianBlur(chance.uniform(0, 255, (*size, 3)).astype(np.float32), (0, 0), 4)
    wide = cv2.normalize(wide, None, 0, 255, cv2.NORM_MINMAX).astype(np.uint8)
    relief = cv2.resize(chance.uniform(1, 9, (12, 24)).astype(np.float32), size[::-1])
    rows: dict[str, contract.Row] = {}
    for kind in ("relative", "metric"):
        for mode in ("causal", "offline"):
            taken = []

            def pairs(kind: Any = kind) -> Any:
                for k in range(frames):
                    part = np.s_[:, 10 * k : 10 * k + 1920]
                    yield np.ascontiguousarray(wide[part]), d3.DepthMap(relief[part].copy(), kind)

            source, start = list(pairs()), time.process_time()
            for _ in steady(source, mode=mode):  # type: ignore[arg-type]
                taken.append(time.process_time() - start)
                start = time.process_time()
            rows[f"{kind}, {mode}"] = {
                "mean CPU ms a frame": contract.rounded(1e3 * statistics.mean(taken), 3)
            }
    rows["all of them"] = {"peak MB": contract.rounded(contract.peak_bytes() / 1e6)}
    return {"Steadying 1080p, without the network": rows}
