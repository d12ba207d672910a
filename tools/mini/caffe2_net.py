"""Read a serialised Caffe2 int8 net and run it on torch's quantised kernels.

A Caffe2 model is two protobuf `NetDef` messages: one whose operators fill the weights, one whose operators
compute. Only the fields and operators that an int8 convolutional net uses are read.

    net = Caffe2Net.load("net.pb", "net_init.pb")
    output = net(images)              # (n, c, h, w) float32 -> (n, c', h', w') float32

Every int8 tensor is affine, real = scale * (stored - zero point), stored in 0..255. The saturation at
both ends is the net's only non-linearity, so it has to happen after every convolution and every sum.
"""

from __future__ import annotations

import struct
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
import torch

Value = int | bytes
VARINT, FIXED64, BYTES, FIXED32 = 0, 1, 2, 5


def varint(message: bytes, start: int) -> tuple[int, int]:
    """Read the base-128 number at `start`; give it and where it ends."""
    number = 0
    for count, byte in enumerate(message[start : start + 10]):
        number |= (byte & 0x7F) << (7 * count)
        if byte < 0x80:
            return number, start + count + 1
    raise ValueError("a file ends inside a number")


def wire_fields(message: bytes) -> Iterator[tuple[int, Value]]:
    """Yield (field number, value) of one protobuf message in the order of the file."""
    at = 0
    while at < len(message):
        key, at = varint(message, at)
        wire = key & 7
        if wire == VARINT:
            number, at = varint(message, at)
            yield key >> 3, number
            continue
        if wire == BYTES:
            length, at = varint(message, at)
        elif wire in (FIXED64, FIXED32):
            length = 8 if wire == FIXED64 else 4
        else:
            raise ValueError(f"protobuf wire type {wire} is unknown")
        if at + length > len(message):
            raise ValueError("a file ends inside a field")
        yield key >> 3, message[at : at + length]
        at += length


def integer(value: Value) -> int:
    """Read a varint as the signed 64-bit number that it stores."""
    if not isinstance(value, int):
        raise ValueError("a field is no whole number")
    return value - 2**64 if value >= 2**63 else value


@dataclass
class Argument:
    """The `Argument` message: one named setting of an operator."""

    name: str = ""
    number: float = 0.0
    integer: int = 0
    content: bytes = b""
    integers: list[int] = field(default_factory=list)

    @classmethod
    def read(cls, message: bytes) -> Argument:
        """Read fields 1 name, 2 f, 3 i, 4 s, 6 ints (packed or not)."""
        argument = cls()
        for number, value in wire_fields(message):
            if number == 3 or (number == 6 and isinstance(value, int)):
                argument.integer = integer(value)
                argument.integers += [argument.integer] if number == 6 else []
            elif not isinstance(value, bytes):
                continue
            elif number == 1:
                argument.name = value.decode()
            elif number == 2:
                (argument.number,) = struct.unpack("<f", value)
            elif number == 4:
                argument.content = value
            elif number == 6:
                at = 0
                while at < len(value):
                    item, at = varint(value, at)
                    argument.integers.append(integer(item))
        return argument


@dataclass
class Operator:
    """The `OperatorDef` message: what it computes, from which tensors, into which."""

    kind: str = ""
    inputs: list[str] = field(default_factory=list)
    outputs: list[str] = field(default_factory=list)
    arguments: dict[str, Argument] = field(default_factory=dict)

    @classmethod
    def read(cls, message: bytes) -> Operator:
        """Read fields 1 input, 2 output, 4 type, 5 arg."""
        operator = cls()
        for number, value in wire_fields(message):
            if not isinstance(value, bytes):
                continue
            if number == 1:
                operator.inputs.append(value.decode())
            elif number == 2:
                operator.outputs.append(value.decode())
            elif number == 4:
                operator.kind = value.decode()
            elif number == 5:
                argument = Argument.read(value)
                operator.arguments[argument.name] = argument
        return operator

    def integers(self, name: str, default: list[int]) -> list[int]:
        """The list setting of that name."""
        return self.arguments[name].integers if name in self.arguments else default

    @property
    def affine(self) -> tuple[float, int]:
        """Scale and zero point of what it gives."""
        zero = self.arguments.get("Y_zero_point", Argument())
        return self.arguments["Y_scale"].number, zero.integer


def read_net(path: Path) -> tuple[list[Operator], str, str]:
    """Read a `NetDef`: its operators, its first external input and its first external output."""
    operators: list[Operator] = []
    ends: dict[int, str] = {}
    for number, value in wire_fields(path.read_bytes()):
        if number == 2 and isinstance(value, bytes):
            operators.append(Operator.read(value))
        elif number in (7, 8) and isinstance(value, bytes):
            ends.setdefault(number, value.decode())
    return operators, ends.get(7, ""), ends.get(8, "")


def _filled(operator: Operator) -> tuple[np.ndarray, float, int]:
    """Read the stored numbers of a fill operator, in their shape, with scale and zero point."""
    values = operator.arguments["values"]
    shape = operator.arguments["shape"].integers
    stored = np.frombuffer(values.content, np.uint8) if values.content else np.array(values.integers)
    return stored.astype(np.int64).reshape(shape), *operator.affine


class Caffe2Net:
    """A net that is ready to run: convolutions packed for the quantised kernels of this processor."""

    def __init__(self, operators: list[Operator], fills: list[Operator], entry: str, result: str) -> None:
        self.operators, self.entry, self.result = operators, entry, result
        tensors = {fill.outputs[0]: _filled(fill) for fill in fills}
        made = {entry, *tensors}
        for operator in operators:
            made.update(operator.outputs if made.issuperset(operator.inputs) else ())
        if not entry or result not in made - {entry}:
            raise ValueError("the graph does not lead from its input to its output")
        self.packed: dict[int, object] = {}
        for index, operator in enumerate(operators):
            if operator.kind == "Int8Conv":
                weight, bias = (tensors[name] for name in operator.inputs[1:3])
                self.packed[index] = self._pack(operator, weight, bias)

    @classmethod
    def load(cls, graph: str | Path, weights: str | Path) -> Caffe2Net:
        """Read the graph and its weights from their two files."""
        try:
            operators, entry, result = read_net(Path(graph))
            return cls(operators, read_net(Path(weights))[0], entry, result)
        except (LookupError, TypeError, ValueError, struct.error) as error:
            raise ValueError(
                f"{graph} and {weights} are no int8 Caffe2 net, or not all of it: {error}"
            ) from error

    @staticmethod
    def _pack(
        operator: Operator, weight: tuple[np.ndarray, float, int], bias: tuple[np.ndarray, float, int]
    ) -> object:
        stored, scale, zero = weight
        # Caffe2 keeps (out, height, width, in) in 0..255; torch takes (out, in, height, width) in -128..127.
        signed = torch.from_numpy((stored - 128).astype(np.int8)).permute(0, 3, 1, 2).contiguous()
        kernel = torch._make_per_tensor_quantized_tensor(signed, scale, zero - 128)
        offset = torch.from_numpy((bias[0] * bias[1]).astype(np.float32))
        top, left, bottom, right = operator.integers("pads", [0, 0, 0, 0])
        if (top, left) != (bottom, right):
            raise ValueError(f"a convolution pads its sides unequally: {top, left, bottom, right}")
        return torch.ops.quantized.conv2d_prepack(
            kernel,
            offset,
            operator.integers("strides", [1, 1]),
            [top, left],
            operator.integers("dilations", [1, 1]),
            operator.arguments.get("group", Argument(integer=1)).integer,
        )

    @torch.inference_mode()
    def __call__(self, images: torch.Tensor) -> torch.Tensor:
        """Run the net: (n, c, h, w) float32 in, float32 out."""
        tensors = {self.entry: images}
        for index, operator in enumerate(self.operators):
            first = tensors[operator.inputs[0]]
            if operator.kind == "NCHW2NHWC":  # a matter of storage: torch keeps its own order of axes
                out = first.contiguous(memory_format=torch.channels_last)
            elif operator.kind == "Int8Quantize":
                out = torch.quantize_per_tensor(first, *operator.affine, torch.quint8)
            elif operator.kind == "Int8Conv":
                out = torch.ops.quantized.conv2d(first, self.packed[index], *operator.affine)
            elif operator.kind == "Int8Add":
                out = torch.ops.quantized.add(first, tensors[operator.inputs[1]], *operator.affine)
            elif operator.kind == "Int8ResizeNearest":
                factors = [operator.arguments[f"{side}_scale"].number for side in ("height", "width")]
                out = torch.nn.functional.interpolate(first, scale_factor=factors, mode="nearest")
            elif operator.kind in ("Int8Dequantize", "NHWC2NCHW"):
                out = first.dequantize() if first.is_quantized else first
            else:
                raise ValueError(f"Caffe2 operator {operator.kind!r} is not one that an int8 net uses")
            tensors[operator.outputs[0]] = out
        return tensors[self.result].contiguous()
