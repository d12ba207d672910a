"""Every exception that depth3d raises on purpose.

    Depth3DError                     anything of ours: catch this one
    ├── InputError (ValueError)      an argument is wrong: shape, range, kind
    │   ├── NeedsMetricError         metres are needed and the map is relative
    │   └── CameraError              intrinsics that are impossible or do not fit the picture
    ├── FileError (OSError)          a file can't be read or written
    │   ├── UnreadableFileError      it is not what its name says, or it is damaged
    │   ├── UnsupportedFormatError   a suffix or an encoding that we don't know
    │   └── OutputExistsError        writing would replace a file and nobody asked for that
    ├── ModelError                   a network can't be had or can't be run
    │   ├── UnknownModelError        the name means nothing to us
    │   ├── ModelUnavailableError    the name is good, the weights are out of reach
    │   └── CheckpointError          the weights are there and are not what they should be
    └── DeviceError                  the device is not there or out of memory

Each message is one sentence that says what is wrong, what was got, and what to do next.
"""

from __future__ import annotations

__all__ = [
    "CameraError",
    "CheckpointError",
    "Depth3DError",
    "DeviceError",
    "FileError",
    "InputError",
    "ModelError",
    "ModelUnavailableError",
    "NeedsMetricError",
    "OutputExistsError",
    "UnknownModelError",
    "UnreadableFileError",
    "UnsupportedFormatError",
]


class Depth3DError(Exception):
    """Base of every error that depth3d raises on purpose."""


class InputError(Depth3DError, ValueError):
    """An argument has the wrong shape, range or kind."""


class NeedsMetricError(InputError):
    """The operation needs depth in metres and got a relative map."""


class CameraError(InputError):
    """Intrinsics are impossible, or do not belong to this picture."""


class FileError(Depth3DError, OSError):
    """A file can't be read or written."""


class UnreadableFileError(FileError):
    """A file is damaged, or is not what its name says."""


class UnsupportedFormatError(FileError):
    """A file has a suffix or an encoding that depth3d does not know."""


class OutputExistsError(FileError):
    """Writing would replace an existing file."""


class ModelError(Depth3DError):
    """A network can't be had or can't be run."""


class UnknownModelError(ModelError):
    """A model name that is neither known, nor a hub id, nor a path."""


class ModelUnavailableError(ModelError):
    """The weights of a known model are neither cached nor within reach."""


class CheckpointError(ModelError):
    """A checkpoint is damaged, unsafe, or of an architecture that gives no depth."""


class DeviceError(Depth3DError):
    """A compute device is missing or ran out of memory."""
