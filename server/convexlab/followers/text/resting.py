"""The files of the text indexes: Tantivy's, and beside them whose texts it has.

    texts/state.json            which indexes, as of which watermark, in which files
    texts/<n>/                  an index's postings, in Tantivy's format
    texts/<watermark>-<n>.columns   whose they are

Tantivy commits by itself between two of these; so when they are read, what it has
beyond the state is taken out again, and is read from the log. What has ended is not
read at all. A text that is there by the state and missing in Tantivy makes the whole
state count as nothing, as does a file that is spoilt, of ours or of Tantivy's.
"""

from __future__ import annotations

import shutil
from typing import TYPE_CHECKING, Final

import msgspec
import numpy as np

from convexlab.followers import files
from convexlab.followers.files import FoundFile, MappedFile, SavedFile
from convexlab.followers.rested import RestedIndex
from convexlab.followers.text import footers
from convexlab.followers.text.index import COLUMNS, TextIndex
from convexlab.followers.text.postings import Postings, read_view
from convexlab.followers.text.request import Definition
from convexlab.followers.text.rested import RestedTexts
from convexlab.followers.versions import Versions

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping
    from pathlib import Path

    from convexlab.followers.rested import Rested
    from convexlab.followers.schema_indexes import Key
    from convexlab.followers.text.postings import View
    from convexlab.followers.text.request import TextAnswer, TextRequest

FORMAT: Final = 3
_STATE: Final = "state.json"


class _Index(msgspec.Struct, frozen=True):
    table: int
    name: str
    definition: Definition
    changed_ts: int
    postings: str
    columns: SavedFile


class _State(msgspec.Struct, frozen=True):
    format: int
    watermark: int
    indexes: list[_Index]


class _Columns(msgspec.Struct, frozen=True, array_like=True):
    values: list[list[bytes]]
    columns: list[bytes]


class _Looked(msgspec.Struct, frozen=True, array_like=True):
    values: list[list[bytes]]
    columns: list[memoryview]  # of what was read


def new_folder(folder: Path) -> Path:
    """An empty folder for an index's postings."""
    folder.mkdir(exist_ok=True)
    taken = [int(path.name) for path in folder.iterdir() if path.is_dir()]
    made = folder / str(max(taken, default=0) + 1)
    made.mkdir()
    return made


def save(
    folder: Path,
    watermark: int,
    indexes: Mapping[Key, TextIndex],
    filling: Iterable[TextIndex] = (),
) -> None:
    """Put all indexes to rest, as of a watermark that all of them have.

    Those that are being filled keep their folders.
    """
    folder.mkdir(exist_ok=True)
    described = [
        _save_index(folder, watermark, key, index)
        for key, index in sorted(indexes.items())
    ]
    state = msgspec.json.encode(_State(FORMAT, watermark, described))
    files.replace(folder / _STATE, state)
    for index in indexes.values():
        index.rested_ts = watermark
    homes = {home.name for each in filling if (home := each.postings.folder)}
    _sweep(folder, homes.union(*map(_names_of, described)))


def _save_index(folder: Path, watermark: int, key: Key, index: TextIndex) -> _Index:
    index.settle()
    home = index.postings.folder
    assert home is not None, "it is in memory"
    columns = msgspec.msgpack.encode(_Columns(*index.versions.to_parts()))
    path = folder / f"{watermark}-{home.name}.columns"
    path.unlink(missing_ok=True)  # who looks at an older one goes on to see it
    return _Index(
        *key, index.definition, index.changed_ts, home.name, files.write(path, columns)
    )


def load(folder: Path) -> tuple[int, dict[Key, TextIndex]]:
    """The watermark and the indexes as they were left; see `SchemaIndexes.load`."""
    state = _state_in(folder)
    return state.watermark, {
        (each.table, each.name): _load_index(folder, each, state.watermark)
        for each in state.indexes
    }


def _state_in(folder: Path) -> _State:
    try:
        state = msgspec.json.decode((folder / _STATE).read_bytes(), type=_State)
    except msgspec.DecodeError as error:
        raise ValueError(f"{_STATE}: {error}") from None
    if state.format != FORMAT:
        raise ValueError(f"{_STATE}: format {state.format}")
    return state


def _load_index(folder: Path, described: _Index, watermark: int) -> TextIndex:
    body = files.read(folder, described.columns)
    columns = msgspec.msgpack.decode(body, type=_Columns)
    versions = Versions.from_parts(columns.values, columns.columns, COLUMNS)
    versions.release(versions.ended_by(watermark))
    footers.check(footers.files_in(folder / described.postings))
    postings = Postings(
        folder / described.postings, len(described.definition.filter_fields)
    )
    _reconcile(postings, versions)
    index = TextIndex(described.definition, postings, versions)
    index.changed_ts = described.changed_ts
    index.exact_from = index.rested_ts = watermark
    return index


def look_at(
    folder: Path, key: Key, rested: Rested, room: int
) -> RestedIndex[TextRequest, TextAnswer] | None:
    """An index of the keeper's, in another process; its files may go meanwhile.

    Args:
        folder: of the text indexes.
        key: the index's.
        rested: what the keeper said.
        room: how many bytes its files may have; None is given where they have more.

    Raises:
        FileNotFoundError: they are others by now.
        ValueError: they are not what was left.
    """
    state = _state_in(folder)
    found = {(each.table, each.name): each for each in state.indexes}.get(key)
    if str(state.watermark) != rested.name or found is None:
        raise FileNotFoundError(f"{_STATE} is of {state.watermark}")
    home = folder / found.postings
    paths = footers.files_in(home)
    postings = [FoundFile(path) for path in paths]
    if found.columns.size + sum(file.size for file in postings) > room:
        return None
    columns = MappedFile(folder, found.columns)
    index = RestedTexts(
        found.definition,
        _versions_in(columns),
        _view_of(home, paths, len(found.definition.filter_fields), rested.commit),
        found.changed_ts,
    )
    return RestedIndex(
        index, since=found.changed_ts, rested=rested, files=[columns, *postings]
    )


def _versions_in(file: MappedFile) -> Versions:
    columns = msgspec.msgpack.decode(memoryview(file.body), type=_Looked)
    return Versions.to_look_at(columns.values, columns.columns, COLUMNS)


def _view_of(home: Path, paths: list[Path], filters: int, commit: int) -> View:
    """What is in these files, and no others: a merge may end meanwhile.

    N.B. they are read before Tantivy does, which would not notice what is spoilt.
    """
    try:
        footers.check(paths)
        return read_view(home, filters, commit)
    finally:
        if footers.files_in(home) != paths:
            raise FileNotFoundError(f"{home} has other files by now")


def _reconcile(postings: Postings, versions: Versions) -> None:
    """Leave Tantivy with what is current by the state.

    Raises:
        ValueError: it does not have all of that.
    """
    there = postings.view.all_slots()
    wanted = versions.slots_in_use()
    if np.isin(wanted, there).sum() != len(wanted) or np.isin(there, wanted).sum() > len(wanted):  # fmt: skip
        raise ValueError("Tantivy does not have what it should")
    beyond = np.setdiff1d(there, wanted)
    if len(beyond):
        postings.delete(beyond)
        postings.view = postings.commit()


def discard(folder: Path) -> None:
    """Leave nothing behind."""
    (folder / _STATE).unlink(missing_ok=True)
    if folder.exists():
        _sweep(folder, set())


def _names_of(index: _Index) -> tuple[str, str]:
    return index.postings, index.columns.name


def _sweep(folder: Path, kept: set[str]) -> None:
    for path in folder.iterdir():
        if path.name in kept or path.name == _STATE:
            continue
        if path.is_dir():
            shutil.rmtree(path, ignore_errors=True)
        elif path.suffix in (".columns", ".new"):
            path.unlink()
