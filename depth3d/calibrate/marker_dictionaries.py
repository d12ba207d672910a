"""Dictionaries of square markers: OpenCV's by name, custom ones by file, and which of them a photo shows."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from depth3d.errors import InputError, UnreadableFileError

__all__ = ["FAMILIES", "named_dictionary", "read_dictionary", "smallest_of_family"]

FAMILIES = (
    ("DICT_7X7_1000", 1),
    ("DICT_6X6_1000", 1),
    ("DICT_APRILTAG_36h11", 1),
    ("DICT_APRILTAG_36h10", 1),
    ("DICT_ARUCO_MIP_36h12", 1),
    ("DICT_5X5_1000", 1),
    ("DICT_APRILTAG_25h9", 1),
    ("DICT_ARUCO_ORIGINAL", 2),
    ("DICT_4X4_50", 2),
    ("DICT_APRILTAG_16h5", 2),
)
"""What to try where no dictionary is named, the most telling first, and how many different markers it takes.

A black frame around 16 bits of chance is one of the 50 markers of DICT_4X4_50 in one of 330 cases, and of
DICT_4X4_1000 in one of 16; around 25 bits it is one of 1000 markers in one of 8,400, but ARUCO_ORIGINAL has
markers that are mere stripes. Shadows, tiles and print make many such frames in a photo.
"""


def named_dictionary(name: str) -> Any:
    """Get one of OpenCV's dictionaries.

    Raises:
        InputError: OpenCV knows none of that name.
    """
    import cv2

    identity = getattr(cv2.aruco, name, None)
    if not (name.startswith("DICT_") and isinstance(identity, int)):
        raise InputError(f"OpenCV knows no dictionary {name!r}; give one such as DICT_6X6_250")
    return cv2.aruco.getPredefinedDictionary(identity)


def read_dictionary(path: Path) -> Any:
    """Read a custom dictionary from a YAML, XML or JSON file as OpenCV writes it.

    The file has `nmarkers`, `markersize` and, for each marker, `marker_0` ... with its bits, row by row.

    Raises:
        UnreadableFileError: It is not there, or is no such file.
    """
    import cv2

    try:
        text = path.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        raise UnreadableFileError(f"{path}: the marker dictionary can't be read: {error}") from None
    dictionary = cv2.aruco.Dictionary()
    try:
        storage = cv2.FileStorage(text, cv2.FILE_STORAGE_READ | cv2.FILE_STORAGE_MEMORY)
        complete = storage.isOpened() and dictionary.readDictionary(storage.root())
    except (cv2.error, SystemError):  # the latter is how its binding reports a parser's error
        complete = False
    if not (complete and dictionary.markerSize >= 2 and len(dictionary.bytesList)):
        raise UnreadableFileError(
            f"{path} is no marker dictionary as OpenCV writes it; "
            "it needs nmarkers, markersize and marker_0, marker_1 ..."
        )
    return dictionary


def smallest_of_family(name: str, largest_id: int) -> str:
    """Name the smallest of the nested dictionaries of `name` that holds an id: DICT_6X6_250 of ..._1000."""
    stem, _, size = name.rpartition("_")
    if size != "1000":
        return name
    return next(f"{stem}_{count}" for count in (50, 100, 250, 1000) if largest_id < count)
