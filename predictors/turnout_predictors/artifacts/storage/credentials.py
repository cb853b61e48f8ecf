"""What a store wants to know who asks: files of a mounted Secret first, else this process's environment.

A key of the Secret is a file's name and, for what has one, the name of the variable. Values are read when they are
used, never logged, and never part of an error.
"""

from __future__ import annotations

import os
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Final

FOLDER_VARIABLE: Final = "TURNOUT_ARTIFACT_AUTH"
FOLDER: Final = "/var/run/turnout/artifact-auth"  # where the operator mounts artifact.authRef


@dataclass(frozen=True, slots=True)
class Credentials:
    folder: Path
    environment: Mapping[str, str]

    @classmethod
    def here(cls) -> Credentials:
        """This process's own."""
        return cls(Path(os.environ.get(FOLDER_VARIABLE, FOLDER)), os.environ)

    def file(self, *names: str) -> Path | None:
        """The first of the Secret's keys that is there."""
        return next((self.folder / name for name in names if (self.folder / name).is_file()), None)

    def value(self, key: str, variable: str) -> str:
        """The Secret's key, else the variable; empty without either."""
        path = self.file(key, variable)
        return path.read_text("utf-8").strip() if path else self.environment.get(variable, "")

    def of_prefix(self, prefix: str) -> dict[str, str]:
        """Every variable of a family, such as AWS_, the Secret's before the environment's."""
        own = {name: value for name, value in self.environment.items() if name.startswith(prefix)}
        files = sorted(self.folder.glob(f"{prefix}*")) if self.folder.is_dir() else []
        return own | {path.name: path.read_text("utf-8").strip() for path in files if path.is_file()}
