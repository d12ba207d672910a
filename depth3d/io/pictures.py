"""Open a picture file with Pillow so that every bad file ends in one sentence.

What a file is is told by its content, never by its suffix: a JPEG named `.heic` opens.
"""

from __future__ import annotations

import logging
import re
import threading
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from io import BytesIO
from pathlib import Path
from typing import TYPE_CHECKING, Any, BinaryIO

from depth3d.errors import FileError, UnreadableFileError, UnsupportedFormatError

if TYPE_CHECKING:
    from PIL.Image import Image

__all__ = [
    "MAX_PIXELS",
    "count_pictures",
    "decoded",
    "open_file",
    "open_picture",
    "open_picture_in",
    "quiet_pillow",
    "too_large",
]

MAX_PIXELS = 500_000_000
"""Larger pictures are refused: phones make 200 megapixels, decompression bombs make billions."""

_SIZE_REFUSED_BY_LIBHEIF = re.compile(r"Image size (\d+)x(\d+) exceeds")

_log = logging.getLogger("depth3d")
_pillow_lock = threading.RLock()


@contextmanager
def quiet_pillow() -> Iterator[None]:
    """Keep Pillow's warnings from the user, and put `MAX_PIXELS` in the place of its own bound.

    Pillow keeps its bound in a global, so only one thread at a time is in here.
    """
    from PIL import Image

    with _pillow_lock, warnings.catch_warnings():
        warnings.simplefilter("ignore")
        bound, Image.MAX_IMAGE_PIXELS = Image.MAX_IMAGE_PIXELS, None
        try:
            yield
        finally:
            Image.MAX_IMAGE_PIXELS = bound


@contextmanager
def open_file(path: str | Path) -> Iterator[BinaryIO]:
    """Open a file for reading.

    Raises:
        UnreadableFileError: It is missing, a directory, empty, or not ours to read.
    """
    path = Path(path)
    try:
        with _opened(path) as file:
            if not file.read(1):
                raise UnreadableFileError(f"{path} is empty; copy it again from where it came from")
            file.seek(0)
            yield file
    except FileError:
        raise
    except FileNotFoundError:
        raise UnreadableFileError(f"{path} does not exist; check the path") from None
    except PermissionError:
        raise UnreadableFileError(f"{path} may not be read by this user; change its permissions") from None
    except OSError as error:
        reason = error.strerror or error
        raise UnreadableFileError(f"can't read {path}: {reason}; check the disk and the path") from error


@contextmanager
def open_picture(path: str | Path) -> Iterator[Image]:
    """Open a picture of any format that Pillow or pillow-heif knows, without decoding its pixels.

    Args:
        path: The file.

    Yields:
        The lazy Pillow image; `decoded` makes its pixels.

    Raises:
        UnreadableFileError: Missing, empty, damaged, no picture, or larger than `MAX_PIXELS`.
        UnsupportedFormatError: A picture in an encoding that can't be read.
    """
    with open_file(path) as file, _identified(file, str(path)) as image:
        yield image


@contextmanager
def open_picture_in(data: bytes, name: str) -> Iterator[Image]:
    """Open a picture that lies within another file, as `open_picture` does.

    Args:
        data: The picture's bytes.
        name: What to call it in messages.

    Yields:
        The lazy Pillow image.

    Raises:
        FileError: As for `open_picture`.
    """
    with _identified(BytesIO(data), name) as image:
        yield image


def decoded(image: Image, path: str | Path) -> Image:
    """Decode the pixels of an opened picture, all of them.

    Raises:
        UnreadableFileError: The data end early or are damaged.
    """
    try:
        image.load()
    except Exception as error:  # as above: a truncated file raises OSError, ValueError, struct.error ...
        raise _damaged(path, error) from error
    return image


def count_pictures(image: Image, path: str | Path) -> int:
    """Count the pictures of an opened file: the frames of an animation, the pages of a TIFF.

    Raises:
        UnreadableFileError: One of them is damaged.
    """
    try:
        return int(getattr(image, "n_frames", 1))
    except Exception as error:  # as above: of a GIF all frames are walked through
        raise _damaged(path, error) from error


def _opened(path: Path) -> BinaryIO:
    try:
        if path.is_dir():
            raise UnreadableFileError(f"{path} is a directory; give a file")
        return path.open("rb")
    except ValueError as error:  # a NUL in the name
        raise UnreadableFileError(f"can't read {str(path)!r}: {error}; check the path") from None


def _identified(file: BinaryIO, name: str) -> Image:
    from PIL import Image, UnidentifiedImageError

    with quiet_pillow():
        _register_heif()
        try:
            image = Image.open(file)
        except UnidentifiedImageError:
            file.seek(0)
            raise _unidentified(name, file.read(4096)) from None
        except Exception as error:  # decoders raise whatever comes to them on damaged headers
            raise _damaged(name, error) from error
    width, height = image.size
    if width * height > MAX_PIXELS:
        raise too_large(name, width, height)
    return image


def too_large(name: str | Path, width: int, height: int) -> UnreadableFileError:
    """Make the error over a picture of more than `MAX_PIXELS`."""
    return UnreadableFileError(
        f"{name} says it has {width}x{height} pixels, more than the {MAX_PIXELS // 10**6} megapixels that "
        "are read; scale it down first"
    )


def _register_heif() -> None:
    from PIL import Image

    if "HEIF" in Image.OPEN:
        return
    try:
        import pillow_heif
    except ImportError:  # a broken installation: every other format goes on working
        _log.warning("pillow-heif can't be imported, so HEIC photos can't be read; reinstall it")
        return
    pillow_heif.register_heif_opener()


def _unidentified(path: str, head: bytes) -> FileError:
    if not any(head):
        return UnreadableFileError(f"{path} holds nothing but zeros; copy it again from where it came from")
    if _is_text(head):
        return UnreadableFileError(f"{path} is a text file, no picture; give a photo")
    if head[:4] in (b"II*\0", b"MM\0*"):
        return UnsupportedFormatError(
            f"{path} is a TIFF or raw photo that is damaged or in an encoding that can't be read; "
            "export it as PNG or JPEG"
        )
    if head[4:8] == b"ftyp":
        return _unidentified_box(path, head[8:12])
    if head.startswith((b"\xff\xd8\xff", b"\x89PNG", b"RIFF", b"BM", b"GIF8")):
        return UnreadableFileError(f"{path} is damaged: its header makes no sense; copy it again")
    return UnreadableFileError(
        f"{path} is no picture that depth3d can read; give a JPEG, PNG, WebP, TIFF, BMP or HEIC"
    )


def _unidentified_box(path: str, brand: bytes) -> FileError:
    from PIL import Image

    if brand not in (b"heic", b"heix", b"heim", b"heis", b"mif1", b"msf1", b"avif"):
        return UnsupportedFormatError(f"{path} is a video or no picture that is known; give a still photo")
    if "HEIF" not in Image.OPEN:
        return UnsupportedFormatError(
            f"{path} is HEIC and this installation can't read it; reinstall pillow-heif"
        )
    return UnreadableFileError(f"{path} is damaged: its header makes no sense; copy it again")


def _is_text(head: bytes) -> bool:
    try:
        text = head.decode("utf-8")
    except UnicodeDecodeError as error:
        if error.start < len(head) - 4:  # else only the last character is cut in two
            return False
        text = head[: error.start].decode("utf-8")
    return all(character.isprintable() or character.isspace() for character in text)


def _damaged(path: str | Path, error: Any) -> UnreadableFileError:
    size = _SIZE_REFUSED_BY_LIBHEIF.search(str(error))
    if size:
        return too_large(path, int(size[1]), int(size[2]))
    reason = " ".join(str(error).split()).rstrip(".") or type(error).__name__
    return UnreadableFileError(f"{path} is damaged or cut short ({reason}); copy it again")
