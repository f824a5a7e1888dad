"""`python -m botctl` is `botctl`."""

import os
import sys

TYPE_CHECKING = False  # typing itself takes time, in which Ctrl-C would not be heard
if TYPE_CHECKING:
    from typing import NoReturn


def _end(text: str, code: int) -> "NoReturn":
    line = " ".join(f"botctl: {text}".split())
    os.write(2, line.encode(errors="backslashreplace") + b"\n")
    sys.exit(code)


def main() -> None:
    """Run botctl. Ctrl-C while it is still being loaded ends it without a traceback."""
    try:
        import signal

        before = signal.getsignal(signal.SIGINT)
        if before is signal.default_int_handler:  # else whoever started it wants it to be ignored
            signal.signal(signal.SIGINT, _end_at_once)
        from botctl.cli.app import main as run

        signal.signal(signal.SIGINT, before)
    except KeyboardInterrupt:
        _end_at_once()
    except (ImportError, SyntaxError, EOFError) as error:
        _end(f"the installation of botctl is broken: {error}: install it again", 78)
    except (OSError, MemoryError) as error:
        _end(f"the system reports an error: {error or 'it is out of memory'}", 1)
    run()


def _end_at_once(*_: object) -> "NoReturn":
    """Nothing is open yet: no exception, which could end up in any corner of an import."""
    try:
        os.write(2, b"botctl: interrupted before it began\n")
    finally:
        os._exit(130)


if __name__ == "__main__":
    main()
