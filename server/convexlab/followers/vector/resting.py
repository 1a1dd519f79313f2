"""The files of the vector indexes: written beside the old ones, named by the last.

    vectors/state.json            which indexes, as of which watermark, in which files
    vectors/<watermark>.<turn>-<n>.faiss       an index's lists, in FAISS's format
    vectors/<watermark>.<turn>-<n>.columns     whose vectors they are

An index that has not changed since keeps its files.

`state.json` is replaced whole once all that it names is on the disk; so a crash leaves
the state of before or of after. What it names is checked against its sums: a file that
is missing, torn or spoilt makes the whole state count as nothing.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

import msgspec

from convexlab.followers import files
from convexlab.followers.files import MappedFile, SavedFile
from convexlab.followers.rested import RestedIndex
from convexlab.followers.vector.index import Saved, VectorIndex
from convexlab.followers.vector.lists import Lists
from convexlab.followers.vector.request import Definition
from convexlab.followers.vector.rested import RestedVectors
from convexlab.followers.versions import Versions

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

    from convexlab.followers.rested import Rested
    from convexlab.followers.schema_indexes import Key
    from convexlab.followers.vector.request import VectorAnswer, VectorRequest

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


class _Looked(msgspec.Struct, frozen=True, array_like=True):
    values: list[list[bytes]]
    columns: list[memoryview]  # of what was read
    homes: memoryview


def save(folder: Path, watermark: int, indexes: Mapping[Key, VectorIndex]) -> None:
    """Put all indexes to rest, as of a watermark that all of them have."""
    folder.mkdir(exist_ok=True)
    turn = _next_turn(folder, watermark)
    described, rests = [], []
    for number, (key, index) in enumerate(sorted(indexes.items())):
        with index.lock.reading():
            saved = _saved(folder, f"{watermark}.{turn}-{number}", index)
            rests.append((index, saved, index.lists))
            described.append(_described(key, index, saved))
    state = msgspec.json.encode(_State(FORMAT, watermark, described))
    files.replace(folder / _STATE, state)
    for index, saved, lists in rests:
        index.rests_in(saved, lists)
    _sweep(folder, {file.name for each in described for file in _files_of(each)})


def _next_turn(folder: Path, watermark: int) -> int:
    """N.B. lists may be cut anew with no commit: what was left is not written over.

    Nor has a file the name of one that was: who looks at that goes on to see it.
    """
    turns = [path.name.partition("-")[0] for path in folder.glob(f"{watermark}.*-*")]
    return max((int(turn.partition(".")[2]) for turn in turns), default=-1) + 1


def _saved(folder: Path, stem: str, index: VectorIndex) -> Saved:
    if index.saved is not None and _are_there(folder, index.saved):
        return index.saved
    homes, lists = index.lists.to_bytes()
    columns = _Columns(*index.versions.to_parts(), homes)
    return Saved(
        files.write(folder / f"{stem}.faiss", lists.data),
        files.write(folder / f"{stem}.columns", msgspec.msgpack.encode(columns)),
    )


def _are_there(folder: Path, saved: Saved) -> bool:
    try:
        return all((folder / f.name).stat().st_size == f.size for f in saved)
    except FileNotFoundError:
        return False


def _described(key: Key, index: VectorIndex, saved: Saved) -> _Index:
    return _Index(
        *key,
        index.definition,
        index.changed_ts,
        index.exact_from,
        index.built_with,
        index.lists.probes,
        *saved,
    )


def load(folder: Path) -> tuple[int, dict[Key, VectorIndex]]:
    """The watermark and the indexes as they were left.

    Raises:
        FileNotFoundError: nothing has been left, or no longer.
        ValueError: it is not what was left, or of another version.
    """
    state = _state_in(folder)
    return state.watermark, {
        (each.table, each.name): _load_index(folder, each) for each in state.indexes
    }


def _state_in(folder: Path) -> _State:
    try:
        state = msgspec.json.decode((folder / _STATE).read_bytes(), type=_State)
    except msgspec.DecodeError as error:
        raise ValueError(f"{_STATE}: {error}") from None
    if state.format != FORMAT:
        raise ValueError(f"{_STATE}: format {state.format}")
    return state


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
    index.saved = Saved(*_files_of(described))
    return index


def look_at(
    folder: Path, key: Key, rested: Rested, room: int
) -> RestedIndex[VectorRequest, VectorAnswer] | None:
    """An index of the keeper's, in another process; its files may go meanwhile.

    Args:
        folder: of the vector indexes.
        key: the index's.
        rested: what the keeper said.
        room: how many bytes its files may have; None is given where they have more.

    Raises:
        FileNotFoundError: they are others by now.
        ValueError: they are not what was left.
    """
    found = {(each.table, each.name): each for each in _state_in(folder).indexes}.get(
        key
    )
    if found is None or found.lists.name != rested.name:
        raise FileNotFoundError(f"{_STATE} does not name {rested.name}")
    saved = Saved(*_files_of(found))
    if saved.bytes > room:
        return None
    mapped = [MappedFile(folder, file) for file in saved]
    lists, columns = (memoryview(each.body) for each in mapped)
    looked = msgspec.msgpack.decode(columns, type=_Looked)
    index = RestedVectors(
        found.definition,
        Versions.to_look_at(looked.values, looked.columns),
        Lists.over(looked.homes, lists, found.probes),
    )
    since = max(found.changed_ts, found.exact_from)
    return RestedIndex(index, since=since, rested=rested, files=mapped)


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
