"""`python -m botctl` is `botctl`."""

import os
import sys


def main() -> None:
    """Run botctl. Ctrl-C while it is still being loaded ends it without a traceback."""
    try:
        from botctl.cli.app import main as run
    except KeyboardInterrupt:
        os.write(2, b"botctl: interrupted before it began\n")
        sys.exit(130)
    run()


if __name__ == "__main__":
    main()
