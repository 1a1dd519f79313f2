"""The sums at the ends of Tantivy's files, which it writes and does not look at again.

A file is its content, a JSON object with the content's `crc`, that object's length and
a number that is always the same.
"""

from __future__ import annotations

import mmap
import struct
import zlib
from typing import TYPE_CHECKING, Final

import msgspec

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator
    from pathlib import Path

_END: Final = struct.Struct("<II")
_MAGIC: Final = 1337


class _Footer(msgspec.Struct):
    crc: int


class _Deletes(msgspec.Struct):
    opstamp: int


class _Segment(msgspec.Struct):
    segment_id: str
    deletes: _Deletes | None


class _Meta(msgspec.Struct):
    segments: list[_Segment]


def files_in(folder: Path) -> list[Path]:
    """The files of Tantivy's last commit; what else is there is nobody's.

    Raises:
        FileNotFoundError: there is no such commit.
    """
    body = (folder / "meta.json").read_bytes()
    return list(_files_of(folder, msgspec.json.decode(body, type=_Meta)))


def check(paths: Iterable[Path]) -> None:
    """Read files of Tantivy's.

    Raises:
        ValueError: one of them is not what was written.
    """
    for path in paths:
        if not _is_whole(path):
            raise ValueError(f"{path.name} is not what was written")


def _files_of(folder: Path, meta: _Meta) -> Iterator[Path]:
    for segment in meta.segments:
        name = segment.segment_id.replace("-", "")
        yield from (p for p in folder.glob(f"{name}.*") if p.suffix != ".del")
        if segment.deletes is not None:
            yield folder / f"{name}.{segment.deletes.opstamp}.del"


def _is_whole(path: Path) -> bool:
    try:
        with (
            path.open("rb") as file,
            mmap.mmap(file.fileno(), 0, prot=mmap.PROT_READ) as body,
        ):
            length, magic = _END.unpack(body[-_END.size :])
            end = len(body) - _END.size - length
            footer = msgspec.json.decode(body[end : -_END.size], type=_Footer)
            with memoryview(body) as whole, whole[:end] as content:
                return magic == _MAGIC and zlib.crc32(content) == footer.crc
    except (struct.error, ValueError, FileNotFoundError):  # it is cut, empty or gone
        return False
