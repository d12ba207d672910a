"""`DepthFile`, what a file with depth holds, and the JSON that says so in our own files."""

from __future__ import annotations

import json
import math
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from depth3d.core.camera import Camera
from depth3d.core.depth import DepthKind, DepthMap
from depth3d.errors import CameraError, UnreadableFileError
from depth3d.io.camera_json import camera_from_dict, camera_to_dict

__all__ = ["RECORD_KEY", "DepthFile", "DepthRecord", "record_from_json", "record_to_json"]

RECORD_KEY = "depth3d"
"""Name of the entry, text chunk or attribute that holds the JSON."""

_FORMAT = "depth3d-depth"
_VERSION = 1


@dataclass(frozen=True, slots=True, eq=False)
class DepthFile:
    """A depth map with what its file knows about it.

    Attributes:
        depth: The map.
        camera: Intrinsics of the picture that it belongs to, or None.
        provenance: How it was made, in words.
    """

    depth: DepthMap
    camera: Camera | None = None
    provenance: dict[str, str] = field(default_factory=dict)

    def __repr__(self) -> str:
        return f"DepthFile({self.depth!r}, {self.camera!r})"


@dataclass(frozen=True, slots=True, eq=False)
class DepthRecord:
    """What is written beside the numbers.

    Attributes:
        kind: What the numbers mean.
        camera: Intrinsics, or None.
        provenance: How the map was made.
        coding: How stored integers become values; empty where floats are stored.
    """

    kind: DepthKind
    camera: Camera | None = None
    provenance: Mapping[str, str] = field(default_factory=dict)
    coding: Mapping[str, float] = field(default_factory=dict)


def record_to_json(record: DepthRecord) -> str:
    """Write a record as ASCII JSON on one line."""
    fields: dict[str, Any] = {"format": _FORMAT, "version": _VERSION, "kind": str(record.kind)}
    if record.coding:
        fields["coding"] = dict(record.coding)
    if record.camera is not None:
        fields["camera"] = camera_to_dict(record.camera)
    if record.provenance:
        fields["provenance"] = {str(key): str(value) for key, value in record.provenance.items()}
    return json.dumps(fields)


def record_from_json(text: str, name: str) -> DepthRecord:
    """Read what `record_to_json` wrote.

    Args:
        text: The JSON.
        name: The file, for messages.

    Raises:
        UnreadableFileError: It is damaged, or a newer version wrote it.
    """
    try:
        fields = json.loads(text)
        version = fields["version"]
        if fields["format"] != _FORMAT:
            raise ValueError
        if version == _VERSION:
            camera = camera_from_dict(fields["camera"]) if "camera" in fields else None
            provenance = {str(key): str(value) for key, value in fields.get("provenance", {}).items()}
            coding = {str(key): float(value) for key, value in fields.get("coding", {}).items()}
            if coding and not _can_decode(coding):
                raise ValueError
            return DepthRecord(DepthKind(fields["kind"]), camera, provenance, coding)
    except (KeyError, TypeError, ValueError, AttributeError, RecursionError) as error:
        reason = f": {error}" if isinstance(error, CameraError) else ""
        raise UnreadableFileError(
            f"what depth3d wrote into {name} is damaged{reason}; make it again"
        ) from None
    raise UnreadableFileError(
        f"{name} was written in version {version!r} of its format, and this depth3d reads version "
        f"{_VERSION}; update depth3d"
    )


def _can_decode(coding: Mapping[str, float]) -> bool:
    if "scale" in coding:
        return coding["scale"] > 0 and math.isfinite(coding["scale"])
    return all(math.isfinite(coding.get(end, math.nan)) for end in ("min", "max"))
