"""Devices and number formats: names, what is there, and sentences for what is not."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch

from depth3d.accel import devices
from depth3d.accel.cpu_flags import multiplies_bytes
from depth3d.accel.devices import describe_device, free_memory_bytes, resolve_device
from depth3d.accel.precision import cpu_has_native_bfloat16, preferred_dtype, resolve_dtype
from depth3d.accel.tensors import tensor_view
from depth3d.errors import DeviceError, InputError


@pytest.mark.parametrize("name", ["cpu", "CPU", " cpu ", "cpu:0", torch.device("cpu")])
def test_the_cpu_is_always_there(name: str) -> None:
    assert resolve_device(name) == torch.device("cpu")


@pytest.mark.parametrize(
    ("gpus", "mps", "expected"),
    [(2, True, "cuda"), (0, True, "mps"), (0, False, "cpu")],  # the order of preference
)
def test_auto_takes_the_best(monkeypatch: pytest.MonkeyPatch, gpus: int, mps: bool, expected: str) -> None:
    monkeypatch.setattr(torch.cuda, "is_available", lambda: gpus > 0)
    monkeypatch.setattr(devices, "_has_mps", lambda: mps)
    assert resolve_device("auto").type == expected


def test_an_index_must_exist(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(torch.cuda, "is_available", lambda: True)
    monkeypatch.setattr(torch.cuda, "device_count", lambda: 2)
    assert resolve_device("cuda:1") == torch.device("cuda", 1)
    with pytest.raises(DeviceError, match="cuda:0 to cuda:1; use one of them"):
        resolve_device("cuda:2")


@pytest.mark.parametrize(
    ("name", "sentence"),
    [
        ("gpu", "must be auto, cpu, cuda, cuda:1 or mps, got 'gpu'"),
        ("cuda:-1", "got 'cuda:-1'"),
        ("", "got ''"),
        ("cpu:1", "there is only one cpu"),
        ("mps:0", "use cpu or auto"),
        ("cuda", "use cpu or auto"),
    ],
)
def test_a_missing_device_says_what_to_do(monkeypatch: pytest.MonkeyPatch, name: str, sentence: str) -> None:
    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)
    monkeypatch.setattr(devices, "_has_mps", lambda: False)
    with pytest.raises(DeviceError, match=sentence):
        resolve_device(name)


def test_the_cpu_in_words() -> None:
    assert describe_device(torch.device("cpu")) == f"cpu, {torch.get_num_threads()} threads"
    assert free_memory_bytes(torch.device("cpu")) is None


@pytest.mark.parametrize(
    ("text", "native"),
    [
        ("flags\t\t: fpu avx2 avx512f avx512_bf16 avx512_vnni\n", True),
        ("flags\t\t: fpu avx512f amx_bf16 amx_tile\n", True),
        ("Features\t: fp asimd bf16 i8mm\n", True),  # ARM
        ("flags\t\t: fpu avx2 avx512f avx512_vnni\n", False),  # emulated: three times slower
        ("model name\t: bf16 avx512_bf16 special\nflags\t\t: fpu avx2\n", False),  # only flags count
        ("", False),
    ],
)
def test_bfloat16_is_read_from_the_flags(tmp_path: Path, text: str, native: bool) -> None:
    file = tmp_path / "cpuinfo"
    file.write_text(text)
    assert cpu_has_native_bfloat16(file) is native
    assert cpu_has_native_bfloat16(tmp_path / "absent") is False


@pytest.mark.parametrize(
    ("machine", "flags", "expected"),
    [
        ("x86_64", "fma avx2", False),
        ("x86_64", "avx2 avx512f avx512bw", False),  # its instruction for bytes may overflow
        ("x86_64", "avx512f avx512_vnni", True),
        ("AMD64", "avx2 avx_vnni", True),
        ("x86_64", "", False),  # it does not tell
        ("aarch64", "fp asimd", True),
        ("arm64", "", True),
    ],
)
def test_who_multiplies_bytes(tmp_path: Path, machine: str, flags: str, expected: bool) -> None:
    file = tmp_path / "cpuinfo"
    if flags:
        file.write_text(f"processor\t: 0\nflags\t\t: {flags}\n")
    assert multiplies_bytes(file, machine) is expected


def test_dtypes_by_device_and_name() -> None:
    assert preferred_dtype(torch.device("cuda")) is torch.float16
    assert preferred_dtype(torch.device("cpu"), cpu_bfloat16=True) is torch.bfloat16
    assert preferred_dtype(torch.device("cpu"), cpu_bfloat16=False) is torch.float32
    assert preferred_dtype(torch.device("mps")) is torch.float32
    assert resolve_dtype("auto") is None
    assert resolve_dtype("float16") is torch.float16
    assert resolve_dtype("int8") is torch.int8
    with pytest.raises(InputError, match="auto, float32, float16, bfloat16, int8, got 'int4'"):
        resolve_dtype("int4")


@pytest.mark.parametrize("locked", [False, True])
def test_tensors_share_the_memory_of_arrays(locked: bool) -> None:
    array = np.arange(24, dtype=np.uint8).reshape(2, 4, 3)
    array.flags.writeable = not locked
    view = tensor_view(array)
    assert view.shape == (2, 4, 3)
    assert view.data_ptr() == array.__array_interface__["data"][0]
    assert view.stride() == (12, 3, 1)
    assert array.flags.writeable is not locked
