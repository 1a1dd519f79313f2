"""What modules are before they run: their texts, and who imports whom.

A module's version is a hash of its source and of all that it imports: what it is
depends on nothing else.
"""

from __future__ import annotations

import hashlib
import re
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Final

from convexlab.functions import determinism
from convexlab.functions.syntax import ParsedModule

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

_SEGMENT: Final = re.compile(r"[A-Za-z0-9_]{1,64}")


@dataclass(frozen=True, slots=True)
class ModuleSource:
    """A module's text and where it came from.

    Attributes:
        path: as in function paths: `admin/users`.
        source: Python.
        origin: `{"kind": "cell" | "file", "name": …}`.
        pushed_ms: when this version was pushed; where time stands while it loads, so
            that its top level says the same in every process.
    """

    path: str
    source: str
    origin: Mapping[str, str] = field(default_factory=dict)
    pushed_ms: float | None = None

    @property
    def filename(self) -> str:
        """How tracebacks name it."""
        return f"{determinism.USER_FILES}{self.path}.py"


def module_path(file: str) -> str | None:
    """The module path of a file in a functions folder, None if it is not pushed.

    Args:
        file: relative to the folder, with forward slashes.
    """
    *folders, name = file.split("/")
    stem = name.removesuffix(".py")
    if name == stem or stem in ("__init__", "conftest"):
        return None
    if (
        stem.startswith("test_")
        or stem.endswith("_test")
        or not _SEGMENT.fullmatch(stem)
    ):
        return None
    if any(
        folder in ("_generated", "__pycache__") or folder.startswith(".")
        for folder in folders
    ):
        return None
    return "/".join((*folders, stem))


def parsed_modules(
    sources: Iterable[ModuleSource], known: Mapping[str, ParsedModule]
) -> dict[str, ParsedModule]:
    """Each module parsed, by path.

    Args:
        sources: all modules.
        known: those parsed before; texts that did not change are not parsed again.
    """
    modules = {}
    for source in sources:
        parsed = known.get(source.path)
        if parsed is None or parsed.text != source.source:
            parsed = ParsedModule(source.path, source.source, source.filename)
        modules[source.path] = parsed
    return modules


# -- who imports whom ---------------------------------------------------------------


class Imports:
    """Which modules of a set import which others.

    Args:
        parsed: all modules by path.
    """

    def __init__(self, parsed: Mapping[str, ParsedModule]) -> None:
        self._parsed = parsed
        self._direct = {path: self._of_one(module) for path, module in parsed.items()}

    def of(self, path: str) -> set[str]:
        """The modules that a module imports, directly or not."""
        seen: set[str] = set()
        waiting = list(self._direct[path])
        while waiting:
            found = waiting.pop()
            if found not in seen:
                seen.add(found)
                waiting.extend(self._direct[found])
        return seen

    def version(self, path: str) -> str:
        """The hash of a module's text and of all that it imports."""
        digest = hashlib.sha256()
        for member in (path, *sorted(self.of(path) - {path})):
            text = self._parsed[member].text.encode("utf-8", "surrogatepass")
            digest.update(f"{member}\0{len(text)}\0".encode() + text)
        return digest.hexdigest()

    def _of_one(self, parsed: ParsedModule) -> set[str]:
        found: set[str] = set()
        for level, name, names in parsed.relative_imports():
            try:
                target = import_target(parsed.path, name, level)
            except ImportError:
                continue
            inside = {f"{target}/{item}" if target else item for item in names}
            found |= {target, *inside} & self._parsed.keys()
        return found - {parsed.path}


def import_target(importer: str, name: str, level: int) -> str:
    """The path that a relative import means; empty for the functions folder itself.

    Raises:
        ImportError: it is above the functions folder.
    """
    folders = importer.split("/")[:-1]
    if level - 1 > len(folders):
        raise ImportError(f"`{importer}` imports from above the functions folder.")
    return "/".join(
        [*folders[: len(folders) - (level - 1)], *filter(None, name.split("."))]
    )
