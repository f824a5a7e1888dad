"""Files that botctl writes again and again: one that is not its own is never replaced."""

import os
from dataclasses import dataclass
from pathlib import Path

from botctl.domain.errors import ConfigError


@dataclass(frozen=True)
class OwnFile:
    """What a setting's file is, and its first bytes, by which it is known again."""

    setting: str
    what: str
    header: bytes

    def problem_with(self, path: Path) -> ConfigError | None:
        """Why this file can't be written, if anything."""
        name = f"{self.setting} {path}"
        if not os.access(path.parent, os.W_OK) or path.is_dir():
            return ConfigError(f"{name} can't be written", hint="check that its folder exists and is yours")
        try:
            if path.exists() and not path.is_file():  # a pipe would keep the run waiting; /dev/null stays what it is
                return ConfigError(f"{name} is not a file", hint="name another file")
            with path.open("rb") as file:
                header = file.read(len(self.header))
        except FileNotFoundError:
            return None
        except OSError as error:
            return ConfigError(f"{name} can't be read: {error.strerror}", hint="name another file")
        if header not in (b"", self.header):  # a typing error must not cost a database
            return ConfigError(f"{name} is not {self.what}", hint="name another file")
        return None
