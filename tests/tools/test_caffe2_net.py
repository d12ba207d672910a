"""The reader of int8 Caffe2 nets: nets written by hand against NumPy, a real one and its outputs."""

import importlib.util
import struct
import sys
from pathlib import Path

import cv2
import numpy as np
import pytest
import torch

SOURCE = Path(__file__).parents[2] / "tools" / "mini" / "caffe2_net.py"

# torch calls its int8 kernels by a path that it has begun to warn about.
pytestmark = pytest.mark.filterwarnings("ignore:.*quantiz.*")


@pytest.fixture(scope="module")
def reader():
    spec = importlib.util.spec_from_file_location("caffe2_net", SOURCE)
    module = importlib.util.module_from_spec(spec)
    sys.modules["caffe2_net"] = module  # dataclasses look their module up
    spec.loader.exec_module(module)
    yield module
    del sys.modules["caffe2_net"]


# -- a writer of the protobuf wire format ------------------------------------------------------


def number(value):
    value %= 1 << 64
    out = bytearray()
    while value > 127:
        out.append(value & 127 | 128)
        value >>= 7
    return bytes([*out, value])


def block(field, content):
    content = content.encode() if isinstance(content, str) else content
    return number(field << 3 | 2) + number(len(content)) + content


def argument(name, value, *, packed=False):
    message = block(1, name)
    if isinstance(value, float):
        message += number(2 << 3 | 5) + struct.pack("<f", value)
    elif isinstance(value, int):
        message += number(3 << 3) + number(value)
    elif isinstance(value, bytes):
        message += block(4, value)
    elif packed:
        message += block(6, b"".join(map(number, value)))
    else:
        message += b"".join(number(6 << 3) + number(one) for one in value)
    return message


def operator(kind, inputs, outputs, *, packed=False, **arguments):
    message = b"".join(block(1, name) for name in inputs) + b"".join(block(2, name) for name in outputs)
    message += block(3, "a name") + block(4, kind)
    return message + b"".join(block(5, argument(k, v, packed=packed)) for k, v in arguments.items())


def net(operators, entry="", result=""):
    message = block(1, "net") + b"".join(block(2, one) for one in operators)
    message += block(7, entry) + block(7, "weights") if entry else b""
    return message + (block(8, result) if result else b"")


def affine(scale, zero):
    return {"Y_scale": float(np.float32(scale)), "Y_zero_point": zero}


# -- a net and what it computes ----------------------------------------------------------------

IN, CONV, SUM = (1 / 127, 10), (0.0203, 100), (0.0311, 50)
WEIGHT = (0.004, 131)


def quantised(real, scale, zero):
    return np.clip(np.rint(real / np.float32(scale)) + zero, 0, 255)


def real_of(stored, scale, zero):
    return (stored.astype(np.float64) - zero) * float(np.float32(scale))


def convolved(x, weight, bias, stride, pad, dilation, groups):
    """x (c, h, w), weight (out, kh, kw, in): the textbook sum."""
    x = np.pad(x, ((0, 0), (pad, pad), (pad, pad)))
    out, tall, wide, per_group = weight.shape
    rows = (x.shape[1] - dilation * (tall - 1) - 1) // stride + 1
    columns = (x.shape[2] - dilation * (wide - 1) - 1) // stride + 1
    result = np.zeros((out, rows, columns))
    for o in range(out):
        first = o // (out // groups) * per_group
        for r in range(rows):
            for c in range(columns):
                window = x[
                    first : first + per_group,
                    r * stride : r * stride + dilation * (tall - 1) + 1 : dilation,
                    c * stride : c * stride + dilation * (wide - 1) + 1 : dilation,
                ]
                result[o, r, c] = (window * weight[o].transpose(2, 0, 1)).sum() + bias[o]
    return result


class Example:
    """Quantise, convolve, add the convolution to itself, double in size, dequantise."""

    def __init__(self, *, stride=1, pad=1, dilation=1, groups=1, packed=False, seed=0):
        rng = np.random.default_rng(seed)
        self.form = stride, pad, dilation, groups
        self.weight = rng.integers(80, 180, (6, 3, 3, 4 // groups)).astype(np.uint8)
        self.bias = rng.integers(-20_000, 20_000, 6)
        bias_scale = float(np.float32(IN[0])) * float(np.float32(WEIGHT[0]))
        fills = [
            operator("Int8GivenTensorFill", [], ["w"], packed=packed, shape=list(self.weight.shape),
                     values=self.weight.tobytes(), **affine(*WEIGHT)),
            operator("Int8GivenIntTensorFill", [], ["b"], packed=packed, shape=[6],
                     values=[int(one) for one in self.bias], **affine(bias_scale, 0)),
        ]  # fmt: skip
        steps = [
            operator("NCHW2NHWC", ["x"], ["n"]),
            operator("Int8Quantize", ["n"], ["q"], **affine(*IN)),
            operator("Int8Conv", ["q", "w", "b"], ["c"], packed=packed, strides=[stride] * 2, pads=[pad] * 4,
                     dilations=[dilation] * 2, group=groups, kernels=[3, 3], order=b"NHWC", **affine(*CONV)),
            operator("Int8Add", ["c", "c"], ["s"], **affine(*SUM)),
            operator("Int8ResizeNearest", ["s"], ["r"], width_scale=3.0, height_scale=2.0, **affine(*SUM)),
            operator("Int8Dequantize", ["r"], ["d"]),
            operator("NHWC2NCHW", ["d"], ["y"]),
        ]  # fmt: skip
        self.graph, self.weights = net(steps, "x", "y"), net(fills)

    def write(self, folder):
        paths = folder / "net.pb", folder / "net_init.pb"
        paths[0].write_bytes(self.graph)
        paths[1].write_bytes(self.weights)
        return paths

    def slow(self, image):
        x = real_of(quantised(image, *IN), *IN)
        weight = real_of(self.weight, *WEIGHT)
        bias = self.bias * float(np.float32(IN[0])) * float(np.float32(WEIGHT[0]))
        c = real_of(quantised(convolved(x, weight, bias, *self.form), *CONV), *CONV)
        s = real_of(quantised(2 * c, *SUM), *SUM)
        return s.repeat(2, axis=1).repeat(3, axis=2)


@pytest.mark.parametrize(
    "form",
    [{}, {"stride": 2}, {"pad": 0}, {"dilation": 2, "pad": 2}, {"groups": 2}, {"packed": True, "stride": 2}],
    ids=str,
)
def test_a_net_computes_what_its_operators_say(reader, tmp_path, form):
    example = Example(**form)
    images = np.random.default_rng(1).uniform(-0.3, 2.2, (2, 4, 11, 9)).astype(np.float32)  # beyond both ends
    got = reader.Caffe2Net.load(*example.write(tmp_path))(torch.from_numpy(images)).numpy()
    want = np.stack([example.slow(image) for image in images])
    assert got.shape == want.shape
    # int32 sums are exact; only a value that lies between two levels may be rounded either way.
    levels = np.abs(got - want) / SUM[0]
    assert levels.max() <= 2.01
    assert (levels < 0.01).mean() > 0.99
    low, high = ((end - SUM[1]) * SUM[0] for end in (0, 255))
    assert got.min() >= low - 1e-5
    assert got.max() <= high + 1e-5
    assert (np.abs(want - low) < 1e-6).mean() > 0.02  # saturation happens


@pytest.mark.parametrize("packed", [False, True])
def test_every_kind_of_setting_is_read(reader, packed):
    numbers = [0, 1, 127, 128, 300, -1, -(2**63), 2**63 - 1]
    read = reader.Operator.read(
        operator("K", ["a", "b"], ["c"], packed=packed, many=numbers, one=-5, share=0.1, raw=b"\0\xff")
    )
    assert (read.kind, read.inputs, read.outputs) == ("K", ["a", "b"], ["c"])
    assert read.arguments["many"].integers == numbers
    assert read.arguments["one"].integer == -5
    assert read.arguments["share"].number == pytest.approx(0.1, rel=1e-7)
    assert read.arguments["raw"].content == b"\0\xff"


def test_fields_that_mean_nothing_to_it_are_passed_over(reader, tmp_path):
    example = Example()
    unknown = number(99 << 3) + number(7) + number(98 << 3 | 1) + bytes(8) + number(97 << 3 | 5) + bytes(4)
    example.graph += unknown
    images = torch.rand((1, 4, 6, 6))
    assert reader.Caffe2Net.load(*example.write(tmp_path))(images).shape == (1, 6, 12, 18)


@pytest.mark.parametrize("which", [0, 1])
def test_a_file_cut_short_anywhere_says_so(reader, tmp_path, which):
    paths = Example().write(tmp_path)
    whole = paths[which].read_bytes()
    for length in {*range(0, len(whole), 7), len(whole) - 1}:
        paths[which].write_bytes(whole[:length])
        with pytest.raises(
            ValueError, match=r"net\.pb and .*net_init\.pb are no int8 Caffe2 net, or not all"
        ):
            reader.Caffe2Net.load(*paths)


@pytest.mark.parametrize("content", [b"", b"\xff" * 40, b"a picture of nothing", bytes(64), b"\x0b" * 9])
def test_other_files_are_refused(reader, tmp_path, content):
    for which in (0, 1):
        paths = Example().write(tmp_path)
        paths[which].write_bytes(content)
        with pytest.raises(ValueError, match="no int8 Caffe2 net"):
            reader.Caffe2Net.load(*paths)


def test_damage_gives_an_error_of_ours_or_a_net(reader, tmp_path):
    paths = Example().write(tmp_path)
    whole = paths[0].read_bytes()
    rng = np.random.default_rng(0)
    refused = []
    for _ in range(150):
        damaged = bytearray(whole)
        damaged[rng.integers(len(whole))] = rng.integers(256)
        paths[0].write_bytes(damaged)
        try:
            reader.Caffe2Net.load(*paths)
        except ValueError as error:
            refused.append("no int8 Caffe2 net" in str(error))
    assert all(refused)
    assert len(refused) > 20


def test_an_unknown_operator_is_named(reader, tmp_path):
    example = Example()
    example.graph = net([operator("Softmax", ["x"], ["y"])], "x", "y")
    paths = example.write(tmp_path)
    with pytest.raises(ValueError, match="'Softmax' is not one that an int8 net uses"):
        reader.Caffe2Net.load(*paths)(torch.rand((1, 4, 6, 6)))


def test_sides_padded_unequally_are_refused(reader, tmp_path):
    example = Example()
    example.graph = example.graph.replace(
        block(5, argument("pads", [1, 1, 1, 1])), block(5, argument("pads", [0, 0, 1, 1]))
    )
    with pytest.raises(ValueError, match="pads its sides unequally"):
        reader.Caffe2Net.load(*example.write(tmp_path))


@pytest.mark.parametrize("name", ["pumpkin", "columns"])
def test_the_teacher_gives_its_published_outputs(reader, shared_data, name):
    folder = shared_data.parent / "teacher"
    if not folder.is_dir():
        pytest.skip(f"the teacher network is not here: {folder}")
    teacher = reader.Caffe2Net.load(folder / "tiefenrausch.pb", folder / "tiefenrausch_init.pb")
    want = np.load(folder / f"{name}.npy")
    photo = cv2.imread(str(folder / f"{name}.jpg"))[..., ::-1]
    small = cv2.resize(photo, want.shape[::-1], interpolation=cv2.INTER_AREA).astype(np.float32) / 255
    pixels = torch.from_numpy(np.ascontiguousarray(small.transpose(2, 0, 1)))[None]
    got = teacher(pixels)[0, 0].exp().numpy()
    assert got.shape == want.shape
    assert np.corrcoef(got.ravel(), want.ravel())[0, 1] > 0.999
