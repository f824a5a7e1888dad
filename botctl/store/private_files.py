"""Files for their owner alone, written whole or not at all."""

import os
import tempfile
from contextlib import suppress
from pathlib import Path

from botctl.domain.errors import ConfigError


def write_private(path: Path, content: bytes) -> None:
    """Replace `path` by this content, file mode 0600: it is the old file or the new one at any moment.

    Raises ConfigError.
    """
    beside: str | None = None
    try:
        handle, beside = tempfile.mkstemp(prefix=f".{path.name}.", dir=path.parent)  # 0600 from its first byte
        with os.fdopen(handle, "wb") as file:
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
