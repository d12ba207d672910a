"""Which files belong to one picture: `rgb_01.jpg`, `depth_01.png` and `01_depth.npz` are all of `01`."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from pathlib import Path, PurePath
from typing import Literal

from depth3d.errors import InputError
from depth3d.io.folder_walk import files_below

__all__ = ["files_in", "is_other_kind", "partners", "picture_name"]

_PHOTO = "photos?|images?|imgs?|rgb|colou?r"
_DEPTH = "(?:sync_|raw_)?depths?|depth_?map|disparity|disp|gt|ground_?truth|truth|pred|prediction"
_WORDS = f"{_PHOTO}|{_DEPTH}"
_END = re.compile(rf"[._-](?:{_WORDS})$", re.IGNORECASE)
_START = re.compile(rf"^(?:{_WORDS})[._-]?(?=\d)", re.IGNORECASE)
_OTHERS = {
    kind: re.compile(rf"(?:.*[._-])?(?:{words}|masks?|previews?)|(?:{words})[._-]?\d.*", re.IGNORECASE)
    for kind, words in (("photos", _DEPTH), ("depth", _PHOTO))
}
"""What is not of a kind by its name. `depth3d estimate --preview` writes pictures beside depth maps."""

_FOLDER = re.compile(rf"(?:{_WORDS})s?", re.IGNORECASE)


def picture_name(path: str | PurePath) -> str:
    """Take from a file's name what says that it is a photo, a depth map or a truth.

    Returns:
        `kitchen` for `kitchen_depth_gt.png`; `00045` for `sync_depth_00045.png`; the stem of other names.
    """
    name = PurePath(path).stem
    while (shorter := _END.sub("", name)) != name:
        name = shorter
    return _START.sub("", name) or name


def is_other_kind(path: str | PurePath, kind: Literal["photos", "depth"]) -> bool:
    """Tell whether a file says by its name that it is something else, such as `01.rgb.png` of depth files."""
    return _OTHERS[kind].fullmatch(PurePath(path).stem) is not None


def files_in(folder: Path, suffixes: Sequence[str], kind: Literal["photos", "depth"]) -> list[Path]:
    """Find photos, or depth files, in a folder and the folders in it, sorted.

    Args:
        folder: Where to look; links are followed, but not in circles.
        suffixes: Of the files, in lower case.
        kind: Files whose names say that they are something else are left out, such as `01.rgb.png` among
            depth files; and so are hidden ones.

    Raises:
        FileError: The folder can't be read.
    """
    return [
        path
        for path in files_below(folder)
        if path.suffix.lower() in suffixes and not is_other_kind(path, kind)
    ]


def partners(
    wanted: Sequence[PurePath],
    files: Sequence[Path],
    folder: str | Path,
    *,
    places: Sequence[PurePath] | None = None,
) -> list[Path | InputError]:
    """Find for each picture the file that belongs to it.

    The names decide, and the folders: apart from those that say what their files are (`rgb`, `depth`), the
    innermost ones must be the same as far as both have any, so `kitchen/01.png` never gets `attic/01.npy`.

    Args:
        wanted: Paths of the pictures, relative to their root, such as `kitchen/01.png`.
        files: The files to choose from.
        folder: Their root; with `places`, what to call it in messages.
        places: Their paths below what was named, such as a glob; None is those below `folder`.

    Returns:
        For each picture its file; or why there is none: nothing fits, several fit equally well, or the one
        that fits belongs to another picture, too.
    """
    folders = {
        path: _places(place)
        for path, place in zip(files, places or [path.relative_to(folder) for path in files], strict=True)
    }
    by_stem: dict[str, list[Path]] = {}
    by_name: dict[str, list[Path]] = {}
    for path in files:
        by_stem.setdefault(path.stem, []).append(path)
        by_name.setdefault(picture_name(path), []).append(path)
    found: list[Path | InputError] = [
        _partner(one, (by_stem.get(one.stem, []), by_name.get(picture_name(one), [])), folders, folder)
        for one in wanted
    ]
    owners: dict[Path, list[PurePath]] = {}
    for one, partner in zip(wanted, found, strict=True):
        if isinstance(partner, Path):
            owners.setdefault(partner, []).append(one)
    return [
        InputError(
            f"{path} would belong to {owners[path][0]} and to {owners[path][1]}; put the files into folders "
            "of the same names as those"
        )
        if isinstance(path, Path) and len(owners[path]) > 1
        else path
        for path in found
    ]


def _partner(
    wanted: PurePath, choices: Sequence[Sequence[Path]], folders: Mapping[Path, list[str]], root: str | Path
) -> Path | InputError:
    """Choose among the files of the same stem, then among those of the same picture."""
    mine = _places(wanted)
    for candidates in choices:
        fitting = {
            path: min(len(mine), len(theirs))
            for path, theirs in ((path, folders[path]) for path in candidates)
            if all(a == b for a, b in zip(reversed(mine), reversed(theirs), strict=False))
        }
        best = [path for path, depth in fitting.items() if depth == max(fitting.values())]
        if len(best) > 1:
            return InputError(
                f"{best[0]} and {best[1]} both have the name of {wanted}; keep one of them, or use folders "
                "of the same names"
            )
        if best:
            return best[0]
    return InputError(f"nothing in {root} has the name of {wanted}; add it, or take {wanted} out")


def _places(path: PurePath) -> list[str]:
    """Name the folders of a file, without those that say what their files are."""
    return [part for part in path.parent.parts if not _FOLDER.fullmatch(part)]
