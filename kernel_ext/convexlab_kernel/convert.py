"""A notebook's modules in a functions folder: written where they changed, and only there.

Each file begins with where it is from and a digest of the rest:

    # From flights.ipynb by `convexlab convert` (5f0c2a9b81d3).

Invariants
    W1  A file that was written or edited by hand is never overwritten or removed
        unless that is said.
    W2  Nothing is written unless everything can be.
"""

from __future__ import annotations

import hashlib
import importlib.util
import re
import shutil
import subprocess
import sys
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Final

from convexlab.errors import NotAllowed, PushFailed
from convexlab_kernel.export import target
from convexlab_kernel.imports import split_imports

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from convexlab_kernel.export import Export, Module

_HEAD: Final = re.compile(
    r"# From (?P<notebook>.+) by `convexlab convert` \((?P<digest>[0-9a-f]{12})\)\.\n"
)
_FORMAT_SECONDS: Final = 30.0


@dataclass(slots=True)
class Written:
    """What an export did to a folder: modules by path.

    Args:
        folder: where.
        left_out: cells that look like modules and stayed behind.
    """

    folder: Path
    left_out: list[str]
    new: list[str] = field(default_factory=list)
    changed: list[str] = field(default_factory=list)
    same: list[str] = field(default_factory=list)
    removed: list[str] = field(default_factory=list)

    def __str__(self) -> str:
        kinds = {
            "new": self.new,
            "changed": self.changed,
            "removed": self.removed,
            "unchanged": self.same,
        }
        said = " · ".join(
            f"{kind}: {', '.join(paths)}" for kind, paths in kinds.items() if paths
        )
        lines = [f"{self.folder}/ ← {said or 'no modules'}"]
        return "\n".join(lines + [f"left out: {one}" for one in self.left_out])


def convert(
    export: Export, folder: Path, *, force: bool = False, formatted: bool = True
) -> Written:
    """Write a notebook's modules as files, and take away those it no longer has.

    Args:
        export: the notebook's modules.
        folder: the functions folder, made where there is none.
        force: also over files of another hand.
        formatted: by ruff, where it is installed, with the folder's own settings.

    Raises:
        NotAllowed: a file is of another notebook, or was edited (W1).
        PushFailed: a relative import that leads nowhere.
    """
    _check_imports(export, folder)
    written = Written(folder, export.left_out)
    texts = {
        folder / f"{module.path}.py": _text(export, module, folder, formatted=formatted)
        for module in export.modules
    }
    gone = list(_gone(export, folder, set(texts)))
    if not force:
        _check_hands(export.notebook, [*texts, *gone])
    for file, text in texts.items():
        _write(file, text, written)
    for file in gone:
        file.unlink()
        written.removed.append(_path(file, folder))
    return written


def origin_of(text: str) -> str | None:
    """The notebook that a file is from; None for one that was written by hand."""
    found = _HEAD.match(text)
    return found["notebook"] if found else None


# -- what is written -----------------------------------------------------------


def _text(export: Export, module: Module, folder: Path, *, formatted: bool) -> str:
    text = module.text
    if formatted:
        text = _formatted(text, folder / f"{module.path}.py")
    return f"# From {export.notebook} by `convexlab convert` ({_digest(text)}).\n{text}"


def _digest(text: str) -> str:
    return hashlib.sha256(text.encode()).hexdigest()[:12]


def _write(file: Path, text: str, written: Written) -> None:
    path = _path(file, written.folder)
    before = _read(file)
    if before == text:
        written.same.append(path)
        return
    file.parent.mkdir(parents=True, exist_ok=True)
    file.write_text(text, encoding="utf-8")
    (written.new if before is None else written.changed).append(path)


def _formatted(text: str, file: Path) -> str:
    """The text as ruff has it; as it is, where ruff is missing or will not have it."""
    if importlib.util.find_spec("ruff") is not None:
        ruff = [sys.executable, "-m", "ruff"]
    elif found := shutil.which("ruff"):
        ruff = [found]
    else:
        return text
    nearest = next(one for one in file.absolute().parents if one.is_dir())
    try:
        ran = subprocess.run(  # noqa: S603 - the formatter that the user installed
            [*ruff, "format", "--quiet", "--stdin-filename", str(file.absolute()), "-"],
            input=text.encode(),
            capture_output=True,
            timeout=_FORMAT_SECONDS,
            check=True,
            cwd=nearest,
        )
    except (OSError, subprocess.SubprocessError):
        return text
    return ran.stdout.decode()


def _gone(export: Export, folder: Path, kept: set[Path]) -> Iterator[Path]:
    """The files of this notebook whose modules it no longer has."""
    for file in sorted(folder.rglob("*.py")):
        if file not in kept and origin_of(_read(file) or "") == export.notebook:
            yield file


# -- what is refused -----------------------------------------------------------


def _check_hands(notebook: str, files: list[Path]) -> None:
    wrong = [line for file in files for line in _other_hand(notebook, file)]
    if wrong:
        wrong.append("Nothing was written; --force overwrites these files.")
        raise NotAllowed("\n".join(wrong))


def _other_hand(notebook: str, file: Path) -> Iterator[str]:
    text = _read(file)
    if text is None:
        return
    found = _HEAD.match(text)
    if found is None:
        yield f"{file} was not made from a notebook."
    elif found["notebook"] != notebook:
        yield f"{file} was made from {found['notebook']}."
    elif found["digest"] != _digest(text[found.end() :]):
        yield f"{file} was edited after it was made: take the changes over into {notebook}."


def _check_imports(export: Export, folder: Path) -> None:
    wrong = []
    for module in export.modules:
        for source in module.sources:
            for one in split_imports(source.body).names:
                path = target(module.path, one)
                if path and not _is_there(path, export, folder):
                    wrong.append(
                        f"{source.cell}: there is no module `{path}`, neither in "
                        f"{export.notebook} nor in {folder}/."
                    )
    if wrong:
        heading = f"{export.notebook} cannot be exported:"
        raise PushFailed("\n".join([heading, *wrong]))


def _is_there(path: str, export: Export, folder: Path) -> bool:
    return export.module(path) is not None or (folder / f"{path}.py").is_file()


def _read(file: Path) -> str | None:
    try:
        return file.read_text(encoding="utf-8")
    except FileNotFoundError:
        return None


def _path(file: Path, folder: Path) -> str:
    return file.relative_to(folder).with_suffix("").as_posix()
