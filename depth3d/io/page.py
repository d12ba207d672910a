"""`page_html`: a photo's layers and their viewer as one HTML page that asks for nothing else."""

from __future__ import annotations

import base64
import hashlib
import html
import json
from collections.abc import Mapping
from dataclasses import dataclass
from io import BytesIO
from pathlib import Path
from string import Template
from typing import Any

import numpy as np
import numpy.typing as npt

from depth3d._version import __version__
from depth3d.core.arrays import ImageArray

__all__ = ["PagePictures", "page_html"]

_VIEWER = Path(__file__).parent / "viewer"
_PHOTO_QUALITY, _TILES_QUALITY, _BACKDROP_QUALITY = 90, 90, 80


@dataclass(frozen=True, slots=True, eq=False)
class PagePictures:
    """The textures of a page.

    Attributes:
        photo: (H, W, 3) uint8 sRGB, the photo with its margins, which also shows where nothing can move.
        tiles: (h, w, 3) uint8 sRGB.
        coverage: (h, w) uint8, 255 where the tiles cover.
        backdrop: (H, W, 3) uint8 sRGB of any size.
    """

    photo: ImageArray
    tiles: ImageArray
    coverage: npt.NDArray[np.uint8]
    backdrop: ImageArray


def page_html(
    pictures: PagePictures,
    facts: Mapping[str, Any],
    numbers: npt.NDArray[np.uint16],
    *,
    title: str,
    alt: str,
) -> str:
    """Put a page together.

    Its content policy lets it load nothing: pictures are in it, and the one script and the one style that may
    run are named by their hashes.

    Args:
        pictures: The textures.
        facts: What `viewer.js` reads as `facts`; numbers and texts.
        numbers: What it reads as `numbers`, in order.
        title: The page's title.
        alt: What the photo shows, for those who don't see it.

    Returns:
        The page's text, UTF-8 when written.
    """
    script, style = ((_VIEWER / name).read_text(encoding="utf-8") for name in ("viewer.js", "viewer.css"))
    style += _placing(facts, pictures.photo.shape)
    policy = (
        f"default-src 'none'; script-src '{_hash(script)}'; style-src '{_hash(style)}'; img-src data:; "
        "base-uri 'none'; form-action 'none'"
    )
    return Template((_VIEWER / "page.html").read_text(encoding="utf-8")).substitute(
        policy=policy,
        generator=f"depth3d {__version__}",
        title=html.escape(title),
        alt=html.escape(alt),
        style=style,
        script=script,
        photo=_encoded(pictures.photo, "JPEG", quality=_PHOTO_QUALITY, subsampling=0, optimize=True),
        tiles=_encoded(pictures.tiles, "JPEG", quality=_TILES_QUALITY, subsampling=0, optimize=True),
        coverage=_encoded(pictures.coverage, "PNG", optimize=True),
        backdrop=_encoded(pictures.backdrop, "JPEG", quality=_BACKDROP_QUALITY, optimize=True),
        facts=json.dumps(facts, allow_nan=False).replace("<", "\\u003c"),
        numbers=base64.b64encode(numbers.astype("<u2").tobytes()).decode("ascii"),
    )


def _placing(facts: Mapping[str, Any], shape: tuple[int, ...]) -> str:
    """Say how large the photo's texture is and where it begins, in shares of the photo."""
    width, height, margin = facts["width"], facts["height"], facts["margin"]
    texel = facts["grid"]["side"] / facts["grid"]["cell"]
    lengths = {
        "texture-width": shape[1] * texel / width,
        "texture-height": shape[0] * texel / height,
        "margin-x": -margin / width,
        "margin-y": -margin / height,
    }
    rules = "".join(f" --{name}: {100 * share:.4f}%;" for name, share in lengths.items())
    return f":root {{ --aspect: {width / height:.6f};{rules} }}\n"


def _hash(text: str) -> str:
    return "sha256-" + base64.b64encode(hashlib.sha256(text.encode()).digest()).decode("ascii")


def _encoded(picture: npt.NDArray[np.uint8], format: str, **options: Any) -> str:  # noqa: A002
    from PIL import Image

    buffer = BytesIO()
    Image.fromarray(picture).save(buffer, format=format, **options)
    text = base64.b64encode(buffer.getvalue()).decode("ascii")
    return f"data:image/{format.lower()};base64,{text}"
