"""Stops an installation under a Python that botctl's libraries can't use, with one sentence instead of a riddle."""

import sys
from typing import Any

from hatchling.metadata.plugin.interface import MetadataHookInterface

CLASSIFIERS = [
    "Environment :: Console",
    "Operating System :: POSIX",
    "Programming Language :: Python :: 3.12",
    "Programming Language :: Python :: 3.13",
    "Topic :: Office/Business :: Financial :: Investment",
]


class PythonCheck(MetadataHookInterface):
    """pip compares requires-python late, after it has failed to find libraries that need Python 3.12."""

    def update(self, metadata: dict[str, Any]) -> None:
        if not (3, 12) <= sys.version_info[:2] <= (3, 13):
            sys.exit(
                f"botctl needs Python 3.12 or 3.13, and this is {sys.version.split()[0]}: "
                "make the virtual environment with one of them, such as `python3.12 -m venv .venv`"
            )
        metadata["classifiers"] = CLASSIFIERS
