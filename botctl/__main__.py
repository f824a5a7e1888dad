"""`python -m botctl` is `botctl`."""

from botctl.cli.app import main

if __name__ == "__main__":
    main()
