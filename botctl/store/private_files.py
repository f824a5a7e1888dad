"""Files written whole or not at all: for their owner alone, or for others to read."""

import os
import tempfile
from contextlib import suppress
from pathlib import Path

from botctl.domain.errors import ConfigError


def write_private(path: Path, content: bytes) -> None:
    """Replace `path` by this content, file mode 0600: it is the old file or the new one at any moment.

    Raises ConfigError.
    """
    _replace(path, content, 0o600)


def write_public(path: Path, content: bytes) -> None:
    """The same with file mode 0644."""
    _replace(path, content, 0o644)


def _replace(path: Path, content: bytes, mode: int) -> None:
    beside: str | None = None
    try:
        handle, beside = tempfile.mkstemp(prefix=f".{path.name}.", dir=path.parent)  # 0600 from its first byte
        with os.fdopen(handle, "wb") as file:
            os.fchmod(file.fileno(), mode)
            file.write(content)
            file.flush()
            os.fsync(file.fileno())
        os.replace(beside, path)
        beside = None
    except OSError as error:
        raise ConfigError(f"can't write {path}: {error.strerror}", hint="check the disk and the folder") from error
    finally:
        if beside is not None:  # also after Ctrl-C
            with suppress(OSError):
                os.unlink(beside)
