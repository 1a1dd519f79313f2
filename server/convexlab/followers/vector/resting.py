"""The files of the vector indexes: written beside the old ones, named by the last.

    vectors/state.json            which indexes, as of which watermark, in which files
    vectors/<watermark>.<turn>-<n>.faiss       an index's lists, in FAISS's format
    vectors/<watermark>.<turn>-<n>.columns     whose vectors they are

`state.json` is replaced whole once all that it names is on the disk; so a crash leaves
the state of before or of after. What it names is checked against its sums: a file that
is missing, torn or spoilt makes the whole state count as nothing.
"""

from __future__ import annotations

from itertools import count
from typing import TYPE_CHECKING, Final

import msgspec

from convexlab.followers import files
from convexlab.followers.files import SavedFile
from convexlab.followers.vector.index import VectorIndex
from convexlab.followers.vector.lists import Lists
from convexlab.followers.vector.request import Definition
from convexlab.followers.versions import Versions

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

    from convexlab.followers.schema_indexes import Key

FORMAT: Final = 1
_STATE: Final = "state.json"


class _Index(msgspec.Struct, frozen=True):
    table: int
    name: str
    definition: Definition
    changed_ts: int
    exact_from: int
    built_with: int
    probes: tuple[int, int]
    lists: SavedFile
    columns: SavedFile


class _State(msgspec.Struct, frozen=True):
    format: int
    watermark: int
    indexes: list[_Index]


class _Columns(msgspec.Struct, frozen=True, array_like=True):
    values: list[list[bytes]]
    columns: list[bytes]
    homes: bytes


def save(folder: Path, watermark: int, indexes: Mapping[Key, VectorIndex]) -> None:
    """Put all indexes to rest, as of a watermark that all of them have."""
    folder.mkdir(exist_ok=True)
    turn = _next_turn(folder, watermark)
    described = [
        _save_index(folder, f"{watermark}.{turn}-{number}", key, index)
        for number, (key, index) in enumerate(sorted(indexes.items()))
    ]
    state = msgspec.json.encode(_State(FORMAT, watermark, described))
    files.replace(folder / _STATE, state)
    _sweep(folder, {file.name for each in described for file in _files_of(each)})


def _next_turn(folder: Path, watermark: int) -> int:
    """N.B. lists may be cut anew with no commit: what was left is not written over."""
    taken = {path.name.partition("-")[0] for path in folder.iterdir()}
    return next(turn for turn in count() if f"{watermark}.{turn}" not in taken)


def _save_index(folder: Path, stem: str, key: Key, index: VectorIndex) -> _Index:
    with index.lock.reading():
        homes, lists = index.lists.to_bytes()
        columns = _Columns(*index.versions.to_parts(), homes)
        return _Index(
            *key,
            index.definition,
            index.changed_ts,
            index.exact_from,
            index.built_with,
            index.lists.probes,
            files.write(folder / f"{stem}.faiss", lists.data),
            files.write(folder / f"{stem}.columns", msgspec.msgpack.encode(columns)),
        )


def load(folder: Path) -> tuple[int, dict[Key, VectorIndex]]:
    """The watermark and the indexes as they were left.

    Raises:
        FileNotFoundError: nothing has been left, or no longer.
        ValueError: it is not what was left, or of another version.
    """
    try:
        state = msgspec.json.decode((folder / _STATE).read_bytes(), type=_State)
    except msgspec.DecodeError as error:
        raise ValueError(f"{_STATE}: {error}") from None
    if state.format != FORMAT:
        raise ValueError(f"{_STATE}: format {state.format}")
    return state.watermark, {
        (each.table, each.name): _load_index(folder, each) for each in state.indexes
    }


def _load_index(folder: Path, described: _Index) -> VectorIndex:
    columns = msgspec.msgpack.decode(
        files.read(folder, described.columns), type=_Columns
    )
    index = VectorIndex(described.definition)
    index.versions = Versions.from_parts(columns.values, columns.columns)
    lists = files.read(folder, described.lists)
    index.lists = Lists.from_bytes(columns.homes, lists, described.probes)
    index.changed_ts = described.changed_ts
    index.exact_from = described.exact_from
    index.built_with = described.built_with
    index.selections.journal.begin(described.changed_ts)
    return index


def discard(folder: Path) -> None:
    """Leave nothing behind."""
    (folder / _STATE).unlink(missing_ok=True)
    if folder.exists():
        _sweep(folder, set())


def _files_of(index: _Index) -> tuple[SavedFile, SavedFile]:
    return index.lists, index.columns


def _sweep(folder: Path, kept: set[str]) -> None:
    for path in folder.iterdir():
        if path.suffix in (".faiss", ".columns", ".new") and path.name not in kept:
            path.unlink()
