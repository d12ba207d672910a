"""Names of results: a folder that mirrors that of the photos, or a template such as `out/{stem}.glb`."""

from __future__ import annotations

import re
import string
from collections.abc import Sequence
from pathlib import Path, PurePosixPath

from depth3d.errors import InputError
from depth3d.io.inputs import FoundInput
from depth3d.io.remote import RemotePath, place

__all__ = ["PLACEHOLDERS", "filled", "fixed_folder", "is_template", "output_names"]

PLACEHOLDERS = ("stem", "name", "parent")
"""The photo's name without its suffix, its name, and its folder below what was given."""

_FIELD = re.compile(r"\{[^{}]*\}")


def is_template(name: object) -> bool:
    """Tell whether a name has placeholders; `{{` and `}}` stand for braces in one that has."""
    return _FIELD.search(str(name).replace("{{", "").replace("}}", "")) is not None


def filled(template: str, found: FoundInput) -> str:
    """Put a photo's names into a template.

    Args:
        template: With `{stem}`, `{name}`, `{parent}`, or `{photo}` for the photo's own path. `{parent}` is
            its folder below the one that was given (`.` for photos in that itself), and of a photo that was
            named itself the name of its folder.
        found: The photo.

    Raises:
        InputError: Another placeholder, or a brace alone.
    """
    parent = str(found.place.parent)
    if len(found.place.parts) == 1:
        folder = str(found.path)[: -len(found.place.name)].rstrip("/")
        parent = PurePosixPath(folder).name if found.is_named and folder else "."
    values = {
        "stem": found.place.stem, "name": found.place.name, "parent": parent, "photo": str(found.path)
    }  # fmt: skip
    try:
        fields = [field for _, field, _, _ in string.Formatter().parse(template) if field is not None]
        unknown = next((field for field in fields if field not in values), None)
        if unknown is None:
            return template.format_map(values)
    except ValueError as error:
        raise InputError(f"{template} is no template: {error}; write {{{{ for a brace") from None
    raise InputError(
        f"{{{unknown}}} in {template} means nothing; use {', '.join(f'{{{name}}}' for name in PLACEHOLDERS)}"
    )


def fixed_folder(output: str | Path | RemotePath) -> Path | RemotePath:
    """Give the folder that all results are in: the output itself, or a template's parts without placeholders.

    Args:
        output: A folder or a template.
    """
    if not is_template(output):
        return place(output) if isinstance(output, str) else output
    head, mark, tail = str(output).partition("://")
    parts = (tail if mark else head).split("/")
    first = next(i for i, part in enumerate(parts) if is_template(part))
    fixed = "/".join(parts[:first])
    if mark:
        return RemotePath(f"{head}://{fixed}")
    return Path(fixed or ("/" if parts[0] == "" else "."))


def output_names(
    inputs: Sequence[FoundInput], output: str | Path | RemotePath, name: str
) -> list[Path | RemotePath]:
    """Decide where the result of each photo goes.

    Args:
        inputs: The photos.
        output: A folder, in which each photo gets its place below the folder that it was found in; or a
            template.
        name: What a result is called in a folder, such as `{stem}_cloud.ply`.

    Returns:
        One name a photo.

    Raises:
        InputError: Two photos would write the same file, or the template means nothing.
    """
    if is_template(output):
        names = [place(filled(str(output), found)) for found in inputs]
    else:
        folder = place(output) if isinstance(output, str) else output
        names = [_below(folder, found.place.parent, filled(name, found)) for found in inputs]
    first: dict[str, FoundInput] = {}
    for found, one in zip(inputs, names, strict=True):
        other = first.setdefault(str(one), found)
        if other is not found:
            raise InputError(
                f"{other.path} and {found.path} would both write {one}; use two output directories, or a "
                f"template, such as {fixed_folder(output)}/{{parent}}/{{name}}{one.suffix}"
            )
    return names


def _below(folder: Path | RemotePath, parent: PurePosixPath, name: str) -> Path | RemotePath:
    for part in (*parent.parts, *PurePosixPath(name).parts):
        folder = folder / part
    return folder
