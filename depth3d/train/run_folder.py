"""`RunFolder`: the directory of a fine-tuning run, and whether a run may begin or go on in it."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from depth3d.errors import FileError, InputError, OutputExistsError
from depth3d.io.atomic import writing

__all__ = ["RunFolder"]

_RESULT = ("model.safetensors", "config.json", "preprocessor_config.json", "README.md")
_STATE = ("checkpoint.pt", "checkpoint.partial", "losses.csv", "validation.csv", "sheet.png", "settings.json")


class RunFolder:
    """The directory of a run: the finished network in it, and the state of the training in `training/`.

    Args:
        path: It need not be there yet.

    Attributes:
        path: The directory.
        training: The directory of the training's state.
    """

    def __init__(self, path: str | Path) -> None:
        self.path = Path(path)
        self.training = self.path / "training"

    @property
    def is_finished(self) -> bool:
        """Whether a network was written; its weights come last."""
        return (self.path / "model.safetensors").exists()

    def check(self, settings: Mapping[str, Any], *, overwrite: bool) -> bool:
        """Tell whether a run with these settings goes on where one stopped.

        Args:
            settings: All that decides what the run gives, as JSON types.
            overwrite: Whether a finished network, or a run with other settings, may be replaced.

        Returns:
            True if there is a run to go on with, False if one begins.

        Raises:
            OutputExistsError: There is a finished network, or there are files of another kind.
            InputError: The run that stopped here had other settings.
            FileError: A file is in the directory's place, or it can't be read.
        """
        if self.path.exists() and not self.path.is_dir():
            raise FileError(f"{self.path} is a file; give a directory for the fine-tuned network")
        if self.is_finished:
            if not overwrite:
                raise OutputExistsError(
                    f"{self.path} holds a finished network; use --overwrite (overwrite=True) or another one"
                )
            return False
        kept = self._kept_settings(overwrite)
        if kept is None:
            if not overwrite and self.path.is_dir() and any(self.path.iterdir()):
                raise OutputExistsError(
                    f"{self.path} holds other files; give a new directory or --overwrite (overwrite=True)"
                )
            return False
        if not (self.training / "checkpoint.pt").exists():
            return False  # nothing is lost
        wanted = json.loads(json.dumps(settings))
        differing = [name for name in {**kept, **wanted} if kept.get(name) != wanted.get(name)]
        if differing and not overwrite:
            name = differing[0]
            raise InputError(
                f"the unfinished run in {self.path} has {name} {kept.get(name)!r}, not {wanted.get(name)!r}; "
                "give the same settings to go on, or --overwrite (overwrite=True) to start again"
            )
        return not differing

    def begin(self, settings: Mapping[str, Any]) -> None:
        """Remove what an earlier run left and write down the settings of this one.

        Raises:
            FileError: The directory can't be written to.
        """
        try:
            self.training.mkdir(parents=True, exist_ok=True)
            for folder, names in ((self.path, _RESULT), (self.training, _STATE)):
                for name in names:
                    (folder / name).unlink(missing_ok=True)
        except OSError as error:
            raise FileError(
                f"can't write to {self.path}: {error.strerror}; choose another directory"
            ) from None
        with writing(self.training / "settings.json") as partial:
            partial.write_text(json.dumps(settings, indent=2) + "\n", encoding="utf-8")

    def _kept_settings(self, overwrite: bool) -> dict[str, Any] | None:
        path = self.training / "settings.json"
        try:
            kept = json.loads(path.read_text(encoding="utf-8"))
        except FileNotFoundError:
            return None
        except (OSError, ValueError) as error:
            if overwrite:
                return {}
            raise FileError(
                f"can't read {path} ({error}); use --overwrite (overwrite=True) to start again"
            ) from None
        return kept if isinstance(kept, dict) else {}
