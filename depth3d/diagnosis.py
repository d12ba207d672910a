"""`doctor`: what works on this machine, and what to do about what does not."""

from __future__ import annotations

import os
import platform
import sys
import warnings
from collections.abc import Callable
from dataclasses import dataclass
from importlib import import_module
from importlib.metadata import PackageNotFoundError, version

from depth3d._version import __version__

__all__ = ["Check", "doctor"]

_PACKAGES = (
    # distribution, module to import, what it is for
    ("torch", "torch", "networks"),
    ("transformers", "transformers", "networks"),
    ("numpy", "numpy", "everything"),
    ("scipy", "scipy", "calibrations and smoothing"),
    ("opencv-python", "cv2", "camera files, 16-bit photos, smoothing of 8-bit depth"),
    ("open3d", "open3d", "voxel grids, outliers, PCD files"),
    ("trimesh", "trimesh", "meshes"),
    ("pillow", "PIL", "photos"),
    ("pillow-heif", "pillow_heif", "HEIC photos and their depth"),
    ("matplotlib", "matplotlib", "colour maps and reports"),
    ("av", "av", "films"),
    ("safetensors", "safetensors", "checkpoints"),
    ("rich", "rich", "progress bars"),
)


@dataclass(frozen=True, slots=True)
class Check:
    """One thing that was looked at.

    Attributes:
        name: What was looked at.
        ok: Whether it works.
        detail: What was found, or what to do.
    """

    name: str
    ok: bool
    detail: str


def doctor() -> list[Check]:
    """Look at versions, devices, cached networks and optional features.

    Every package is really imported, because an installed package may still lack a system library.

    Returns:
        One check a thing, in a fixed order. Nothing is fetched and nothing is changed.
    """
    checks = [
        Check("depth3d", True, __version__),
        Check("python", True, f"{platform.python_version()} on {platform.system()} {platform.machine()}"),
    ]
    checks += [_package(*row) for row in _PACKAGES]
    checks += [
        _guarded("device", _device),
        _guarded("backends", _backends),
        _guarded("networks here", _cached),
        _guarded("cache", _compiled),
        _guarded("memory", _machine),
    ]
    return checks


def _package(distribution: str, module: str, purpose: str) -> Check:
    try:
        with warnings.catch_warnings():  # Open3D's CUDA build warns on machines without CUDA
            warnings.simplefilter("ignore")
            import_module(module)
        return Check(distribution, True, f"{version(distribution)}, for {purpose}")
    except PackageNotFoundError:
        # The module is there under another distribution's name, such as opencv-python-headless.
        return Check(distribution, True, f"{getattr(sys.modules[module], '__version__', '?')}, for {purpose}")
    except Exception as error:  # a broken package may raise anything at import
        first_line = (str(error).splitlines() or [type(error).__name__])[0]
        return Check(distribution, False, f"{first_line}; pip install {distribution}")


def _guarded(name: str, look: Callable[[], Check]) -> Check:
    try:
        return look()
    except Exception as error:
        return Check(name, False, f"{type(error).__name__}: {error}")


def _device() -> Check:
    from depth3d.accel.devices import describe_device, resolve_device

    return Check("device", True, describe_device(resolve_device("auto")))


def _backends() -> Check:
    from depth3d.estimate.backends.choice import installed_backends

    names = installed_backends()
    hint = "" if "openvino" in names else "; faster on a CPU: pip install 'depth3d[openvino]'"
    return Check("backends", True, ", ".join(names) + hint)


def _cached() -> Check:
    from depth3d.estimate.hub import is_cached
    from depth3d.estimate.registry import MODELS

    names = [card.name for card in MODELS.values() if is_cached(card)]
    hint = "" if "small" in names else "; for better depth, depth3d models download small, when online"
    return Check("networks here", True, ", ".join(names) + hint)


def _compiled() -> Check:
    from depth3d.estimate.backends.artefacts import cache_folder

    folder = cache_folder()
    size = sum(file.stat().st_size for file in folder.rglob("*") if file.is_file())
    there = next(place for place in (folder, *folder.parents) if place.exists())
    if not (there.is_dir() and os.access(there, os.W_OK)):
        return Check(
            "cache", False, f"{folder} can't be written: each start compiles anew; set DEPTH3D_CACHE_DIR"
        )
    return Check("cache", True, f"{folder}, {size / 1e9:.2f} GB of compiled networks")


def _machine() -> Check:
    from depth3d.accel.threads import usable_cpus

    return Check("memory", True, f"{_memory_gib():.1f} GiB, {usable_cpus()} of {os.cpu_count()} cores")


def _memory_gib() -> float:
    try:
        return os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") / 2**30
    except (AttributeError, ValueError, OSError):  # not on Windows
        return float("nan")
