"""Imports files of the product with other texts than their own: how a mutation comes into a process."""

import sys
from collections.abc import Mapping, Sequence
from importlib.abc import MetaPathFinder
from importlib.machinery import ModuleSpec, PathFinder, SourceFileLoader
from importlib.util import spec_from_file_location
from pathlib import Path
from types import CodeType, ModuleType
from typing import override

PROJECT = Path(__file__).parents[2]


class MutatedLoader(SourceFileLoader):
    """Compiles the other text; Python's compiled files are of the true one."""

    def __init__(self, name: str, path: str, text: str) -> None:
        super().__init__(name, path)
        self.text = text

    @override
    def get_code(self, fullname: str) -> CodeType:
        code: CodeType = compile(self.text, self.path, "exec", dont_inherit=True)
        return code


class MutatedFiles(MetaPathFinder):
    """`texts` by their paths in the project. `waiting` are those that no import has asked for yet."""

    def __init__(self, texts: Mapping[str, str]) -> None:
        self.texts = {str(PROJECT / name): text for name, text in texts.items()}
        self.waiting = set(self.texts)

    @override
    def find_spec(
        self, fullname: str, path: Sequence[str] | None, target: ModuleType | None = None
    ) -> ModuleSpec | None:
        spec = PathFinder.find_spec(fullname, path, target)
        if spec is None or spec.origin not in self.texts:
            return None
        self.waiting.discard(spec.origin)
        return spec_from_file_location(
            fullname,
            spec.origin,
            loader=MutatedLoader(fullname, spec.origin, self.texts[spec.origin]),
            submodule_search_locations=spec.submodule_search_locations,
        )


def import_mutated(texts: Mapping[str, str]) -> MutatedFiles:
    """From here on these files are imported with these texts. None of them may be loaded already."""
    files = MutatedFiles(texts)
    loaded = {getattr(module, "__file__", None) for module in list(sys.modules.values())}
    assert not files.waiting & loaded, f"loaded before they were mutated: {files.waiting & loaded}"
    sys.meta_path.insert(0, files)
    return files
