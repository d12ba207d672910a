"""depth3d: one photo in, three dimensions out."""

from __future__ import annotations

from depth3d._version import __version__

__all__ = ["__version__"]
