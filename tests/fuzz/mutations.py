"""Changes that break files in the ways that matter."""

from __future__ import annotations

import binascii
import io
import struct
import zipfile

from hypothesis import strategies as st

_INTERESTING = (
    0, 1, 2, 0x7F, 0x80, 0xFF, 0x7FFF, 0x8000, 0xFFFF, 0x7FFFFFFF, 0x80000000, 0xFFFFFFFF, 100_000,
)  # fmt: skip
_NUMBERS = (
    b"-1", b"0", b"1e999", b"nan", b"99999999999", b"4294967295", b"1e308", b"-1e-320", b"null", b"[]",
    b'"x"', b"{}", b"true", b"9" * 400,
)  # fmt: skip


def mutations():
    """Draw one to five changes: (what, where as a share of the file, further numbers)."""
    place = st.floats(0, 1, allow_nan=False)
    near_head = place.map(lambda share: share**3)  # headers are where lengths and counts are
    anywhere = st.one_of(place, near_head)
    return st.lists(
        st.one_of(
            st.tuples(st.just("flip"), anywhere, st.integers(0, 7)),
            st.tuples(st.just("byte"), anywhere, st.integers(0, 255)),
            st.tuples(st.just("cut"), place),
            st.tuples(st.just("delete"), anywhere, st.integers(1, 200)),
            st.tuples(st.just("repeat"), anywhere, st.integers(1, 200), st.integers(1, 20)),
            st.tuples(st.just("splice"), anywhere, anywhere, st.integers(1, 400)),
            st.tuples(st.just("integer"), anywhere, st.sampled_from(_INTERESTING), st.sampled_from("<>"),
                      st.sampled_from("BHIQ")),
            st.tuples(st.just("number"), place, st.sampled_from(_NUMBERS)),
            st.tuples(st.just("lines"), place, place),
        ),
        min_size=1,
        max_size=5,
    )  # fmt: skip


def mutated(data: bytes, steps) -> bytes:
    """Apply drawn changes to a file; those that its checksums would hide get right checksums again."""
    result = bytearray(data)
    for what, *numbers in steps:
        if not result:
            break
        at = min(int(numbers[0] * len(result)), len(result) - 1)
        if what == "flip":
            result[at] ^= 1 << numbers[1]
        elif what == "byte":
            result[at] = numbers[1]
        elif what == "cut":
            del result[at:]
        elif what == "delete":
            del result[at : at + numbers[1]]
        elif what == "repeat":
            result[at:at] = result[at : at + numbers[1]] * numbers[2]
        elif what == "splice":
            to = min(int(numbers[1] * len(result)), len(result) - 1)
            result[to : to + numbers[2]] = result[at : at + numbers[2]]
        elif what == "integer":
            size = struct.calcsize(numbers[3])
            limit = 256**size - 1
            result[at : at + size] = struct.pack(numbers[2] + numbers[3], min(numbers[1], limit))
        elif what == "number":
            _replace_number(result, at, numbers[1])
        elif what == "lines":
            _swap_lines(result, *numbers)
    return _with_checksums(bytes(result)) if data.startswith(b"\x89PNG") else bytes(result)


def _replace_number(data: bytearray, at: int, by: bytes) -> None:
    start = next((i for i in range(at, len(data)) if 48 <= data[i] <= 57), None)
    if start is not None:
        end = next((i for i in range(start, len(data)) if data[i] not in b"0123456789.eE+-"), len(data))
        data[start:end] = by


def _swap_lines(data: bytearray, one: float, two: float) -> None:
    lines = bytes(data).split(b"\n")
    i, j = (min(int(share * len(lines)), len(lines) - 1) for share in (one, two))
    lines[i], lines[j] = lines[j], lines[i]
    data[:] = b"\n".join(lines)


def _with_checksums(png: bytes) -> bytes:
    result, at = bytearray(png), 8
    while at + 12 <= len(result):
        (length,) = struct.unpack_from(">I", result, at)
        end = at + 8 + length
        if end + 4 > len(result):
            break
        struct.pack_into(">I", result, end, binascii.crc32(result[at + 4 : end]))
        at = end + 4
    return bytes(result)


def rezipped(data: bytes, steps) -> bytes:
    """Change what is inside an archive and pack it anew, so that its own checksums hold."""
    with zipfile.ZipFile(io.BytesIO(data)) as archive:
        members = {name: archive.read(name) for name in archive.namelist()}
    names = list(members)
    chosen = names[len(steps) % len(names)]
    members[chosen] = mutated(members[chosen], steps)
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w", (zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED)[len(steps) % 2]) as archive:
        for name, content in members.items():
            archive.writestr(name, content)
    return buffer.getvalue()
