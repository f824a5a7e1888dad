"""`python -m botctl` is `botctl`."""

import os
import sys
from typing import NoReturn


def _end(text: str, code: int) -> NoReturn:
    line = " ".join(f"botctl: {text}".split())
    os.write(2, line.encode(errors="backslashreplace") + b"\n")
    sys.exit(code)


def main() -> None:
    """Run botctl. Ctrl-C while it is still being loaded ends it without a traceback."""
    try:
        from botctl.cli.app import main as run
    except KeyboardInterrupt:
        os.write(2, b"botctl: interrupted before it began\n")
        sys.exit(130)
    except (ImportError, SyntaxError, EOFError) as error:
        _end(f"the installation of botctl is broken: {error}: install it again", 78)
    except (OSError, MemoryError) as error:
        _end(f"this machine failed: {error or 'it is out of memory'}", 1)
    run()


if __name__ == "__main__":
    main()
