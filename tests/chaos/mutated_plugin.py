"""A pytest plugin (`-p`): botctl is imported with the texts of files that the JSON file MUTATED_FILES has."""

import json
import os
from pathlib import Path

from tests.chaos.mutated_import import import_mutated

MUTATED_FILES = "MUTATED_FILES"

if MUTATED_FILES in os.environ:
    import_mutated(json.loads(Path(os.environ[MUTATED_FILES]).read_text()))
