"""Measure the teacher and any number of networks on pictures whose depth is known.

    python tools/mini/compare.py --teacher DIR --model mini --model RUN/mini.safetensors
        --pairs DIR --tum DIR --redwood DIR --rgbd DIR --synthetic 40 --out scores.json

Prints a Markdown table for each data set and one for all the real ones, and writes every number as JSON.
Pictures of one scene are averaged before scenes are; doubtful truths get a table of their own. The
teacher stands there twice: as its makers run it, and averaged over two scales and mirror images, which is
what its labels are made of.
"""

from __future__ import annotations

import argparse
import json
import sys
from collections.abc import Callable, Iterable, Iterator
from dataclasses import asdict
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import truths
from caffe2_net import Caffe2Net
from label_photos import standardised, teacher_disparity
from rich.progress import track

from depth3d.core.arrays import ImageArray
from depth3d.core.depth import DepthMap
from depth3d.estimate.estimator import DepthEstimator
from depth3d.evaluate import score

Estimate = Callable[[ImageArray], DepthMap]
COLUMNS = {
    "spearman": "Spearman",
    "abs_rel": "AbsRel",
    "delta1": "delta1",
    "boundary_f1": "boundary F1",
    "boundary_f1_exact": "F1 at 0 px",
}


def teacher_once(teacher: Caffe2Net, image: ImageArray) -> DepthMap:
    """Run the teacher as its makers do."""
    return DepthMap(teacher_disparity(teacher, image, 384)[0], "relative")


def teacher_averaged(teacher: Caffe2Net, image: ImageArray) -> DepthMap:
    """Average the teacher as for labels, but keep the pixels that its maps disagree about."""
    maps = standardised(teacher, image)
    return teacher_once(teacher, image) if maps is None else DepthMap(maps.mean(axis=0), "relative")


def measure(estimate: Estimate, picture: truths.Picture) -> dict[str, float]:
    """Score one map."""
    depth = estimate(picture.image)
    exact = score(depth, picture.truth, tolerance_px=0)
    return {**asdict(score(depth, picture.truth)), "boundary_f1_exact": exact.boundary_f1}


def mean_over_scenes(rows: Iterable[dict[str, Any]]) -> dict[str, float]:
    """Average inside each scene, then over the scenes, without what is undefined."""
    scenes: dict[str, list[dict[str, Any]]] = {}
    for row in rows:
        scenes.setdefault(row["group"], []).append(row)
    means = {}
    for column in COLUMNS:
        by_scene = [_mean([row[column] for row in scene]) for scene in scenes.values()]
        means[column] = _mean(by_scene)
    return {**means, "scenes": len(scenes), "pictures": sum(len(scene) for scene in scenes.values())}


def _mean(values: list[float]) -> float:
    known = [value for value in values if np.isfinite(value)]
    return float(np.mean(known)) if known else float("nan")


def tables(rows: list[dict[str, Any]]) -> Iterator[tuple[str, dict[str, dict[str, float]]]]:
    """Yield title, and by network the means."""
    data_sets = list(dict.fromkeys(row["data"] for row in rows))
    parts = {data: [r for r in rows if r["data"] == data and r["grade"] == "A"] for data in data_sets}
    doubtful = [r for r in rows if r["grade"] != "A"]
    if doubtful:
        parts["doubtful truth"] = doubtful
    real = [r for r in rows if r["grade"] == "A" and r["data"] != "synthetic"]
    if len(data_sets) > 1 and real:
        parts["all real data"] = real
    for title, part in parts.items():
        networks = dict.fromkeys(row["network"] for row in part)
        yield title, {name: mean_over_scenes(r for r in part if r["network"] == name) for name in networks}


def markdown(title: str, means: dict[str, dict[str, float]]) -> str:
    """Lay a table out."""
    any_row = next(iter(means.values()))
    lines = [
        f"### {title}: {any_row['pictures']} pictures of {any_row['scenes']} scenes\n",
        "| network | " + " | ".join(COLUMNS.values()) + " |",
        "|---|" + "---:|" * len(COLUMNS),
    ]
    for name, row in means.items():
        cells = ("-" if np.isnan(row[column]) else f"{row[column]:.3f}" for column in COLUMNS)
        lines.append(f"| {name} | " + " | ".join(cells) + " |")
    return "\n".join(lines) + "\n"


def main() -> None:
    """Measure everything that was asked for."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    readers = {"pairs": truths.pairs, "tum": truths.tum, "redwood": truths.redwood, "rgbd": truths.rgbd}
    for name, reader in readers.items():
        parser.add_argument(
            f"--{name}", type=Path, metavar="DIR", help=(reader.__doc__ or "").splitlines()[0]
        )
    parser.add_argument("--synthetic", type=int, metavar="N", default=0, help="number of rendered scenes")
    parser.add_argument("--teacher", type=Path, metavar="DIR", help="directory of tiefenrausch*.pb")
    parser.add_argument("--model", action="append", default=[], help="a name or a file; may be repeated")
    parser.add_argument("--out", type=Path, help="JSON file with the numbers of every picture")
    arguments = parser.parse_args()

    networks: dict[str, Estimate] = {}
    if arguments.teacher:
        teacher = Caffe2Net.load(*(arguments.teacher / f"tiefenrausch{part}.pb" for part in ("", "_init")))
        networks["teacher"] = partial(teacher_once, teacher)
        networks["teacher, averaged"] = partial(teacher_averaged, teacher)
    networks |= {name: DepthEstimator.from_pretrained(name) for name in arguments.model}
    given = {
        name: reader(getattr(arguments, name)) for name, reader in readers.items() if getattr(arguments, name)
    }
    if arguments.synthetic:
        given["synthetic"] = truths.synthetic(arguments.synthetic)
    if not networks or not given:
        parser.error("name a network (--teacher, --model) and pictures (--pairs, --rgbd, --synthetic, ...)")

    rows: list[dict[str, Any]] = []
    for data, pictures in given.items():
        for picture in track(pictures, description=data, disable=not sys.stderr.isatty()):
            about = {"data": data, "picture": picture.name, "group": picture.group, "grade": picture.grade}
            for name, estimate in networks.items():
                rows.append({**about, "network": name, **measure(estimate, picture)})
    means = dict(tables(rows))
    for title, table in means.items():
        print(markdown(title, table))
    if arguments.out:
        whole = {"means": means, "pictures": rows}
        arguments.out.write_text(json.dumps(_without_nan(whole), indent=1) + "\n")


def _without_nan(value: Any) -> Any:
    """JSON knows no NaN."""
    if isinstance(value, dict):
        return {key: _without_nan(item) for key, item in value.items()}
    if isinstance(value, list):
        return [_without_nan(item) for item in value]
    return None if isinstance(value, float) and not np.isfinite(value) else value


if __name__ == "__main__":
    main()
