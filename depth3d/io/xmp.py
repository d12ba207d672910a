"""XMP: the properties that photos carry as XML, also where they span several JPEG segments.

Source: Adobe, XMP Specification Part 3, Storage in Files (JPEG: StandardXMP and ExtendedXMP).
"""

from __future__ import annotations

import struct
from collections.abc import Iterator
from typing import TypeAlias
from xml.parsers import expat

__all__ = ["Properties", "jpeg_segments", "jpeg_xmp", "parse_xmp"]

Properties: TypeAlias = dict[str, list[str]]
"""Namespace and name, joined without a gap, to the values: one, or the items of an array."""

_STANDARD = b"http://ns.adobe.com/xap/1.0/\0"
_EXTENSION = b"http://ns.adobe.com/xmp/extension/\0"
_HAS_EXTENDED = "http://ns.adobe.com/xmp/note/HasExtendedXMP"
_APP1, _SOS, _EOI = 0xE1, 0xDA, 0xD9
_GUID_SIZE = 32


class _DoctypeError(ValueError):
    """XMP has no document types; entities in one could expand without end."""


def jpeg_segments(data: bytes) -> Iterator[tuple[int, int, bytes]]:
    """Walk the segments of a JPEG before its pixels; ends quietly where the data make no sense.

    Args:
        data: From the start-of-image marker on.

    Yields:
        The second byte of the marker, where in `data` the payload starts, and the payload.
    """
    position = 2
    while position + 4 <= len(data) and data[position] == 0xFF:
        marker = data[position + 1]
        if marker == 0xFF:  # fill byte
            position += 1
            continue
        if marker in (_SOS, _EOI):
            return
        (length,) = struct.unpack_from(">H", data, position + 2)
        yield marker, position + 4, data[position + 4 : position + 2 + length]
        position += 2 + max(length, 2)


def jpeg_xmp(data: bytes) -> Properties:
    """Read the XMP of a JPEG, with its extension put together from all segments.

    Args:
        data: From the start-of-image marker on.

    Returns:
        Its properties; empty where it has no XMP, or XMP that is no XML. An extension that is not
        complete, or that the standard part does not name, is left out.
    """
    properties: Properties = {}
    extensions: dict[bytes, dict[int, bytes]] = {}
    lengths: dict[bytes, int] = {}
    for marker, _, payload in jpeg_segments(data):
        if marker != _APP1:
            continue
        if payload.startswith(_STANDARD):
            properties |= parse_xmp(payload[len(_STANDARD) :])
        elif payload.startswith(_EXTENSION) and len(payload) >= len(_EXTENSION) + _GUID_SIZE + 8:
            start = len(_EXTENSION)
            guid = payload[start : start + _GUID_SIZE]
            full_length, offset = struct.unpack_from(">II", payload, start + _GUID_SIZE)
            extensions.setdefault(guid, {})[offset] = payload[start + _GUID_SIZE + 8 :]
            lengths[guid] = full_length
    for name in properties.get(_HAS_EXTENDED, []):
        guid = name.strip().encode("ascii", "replace")
        whole = _joined(extensions.get(guid, {}))
        if whole and len(whole) == lengths[guid]:
            properties |= parse_xmp(whole)
    return properties


def parse_xmp(packet: bytes) -> Properties:
    """Flatten an XMP packet.

    Args:
        packet: RDF/XML, with or without its `xpacket` wrapper.

    Returns:
        Simple properties, written as attributes or as elements, and arrays. Empty for anything that
        is no XML, or that declares a document type.
    """
    properties: Properties = {}
    path: list[str] = []
    text: list[str] = []

    def start(name: str, attributes: dict[str, str]) -> None:
        path.append(name)
        text.clear()
        for key, value in attributes.items():
            properties.setdefault(key, []).append(value)

    def end(name: str) -> None:
        value = "".join(text).strip()
        text.clear()
        path.pop()
        if value:
            # An item of an array, <x><rdf:Seq><rdf:li>, belongs to the property two levels above it.
            owner = path[-2] if name.endswith("rdf-syntax-ns#li") and len(path) >= 2 else name
            properties.setdefault(owner, []).append(value)

    def doctype(*_: object) -> None:
        raise _DoctypeError

    parser = expat.ParserCreate(namespace_separator="")
    parser.buffer_text = True
    parser.StartElementHandler = start
    parser.EndElementHandler = end
    parser.CharacterDataHandler = text.append
    parser.StartDoctypeDeclHandler = doctype
    try:
        parser.Parse(packet.strip(b"\0 \r\n\t"), True)
    except (expat.ExpatError, _DoctypeError, LookupError, UnicodeError):
        return {}
    return properties


def _joined(parts: dict[int, bytes]) -> bytes:
    whole = b""
    pieces = []
    reached = 0
    for offset in sorted(parts):
        if offset != reached:
            return whole  # a segment is missing
        pieces.append(parts[offset])
        reached += len(parts[offset])
    return b"".join(pieces)
