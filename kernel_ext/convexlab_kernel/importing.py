"""Importing: rows in, batches of JSON lines out, two requests in flight.

    data frame │ dicts │ file ─▶ batches of ~2,000 lines ─▶ POST /api/import, twice

While one batch is being committed the next one is converted and sent. Batches
are sent one after another, so documents keep the order of their rows.
"""

from __future__ import annotations

import re
import threading
from collections.abc import Iterable, Iterator, Mapping, Sized
from concurrent.futures import FIRST_COMPLETED, Future, ThreadPoolExecutor, wait
from dataclasses import dataclass
from types import MappingProxyType
from typing import TYPE_CHECKING, Any, Literal
from urllib.parse import urlencode

import msgspec

from convexlab import knobs
from convexlab.documents.encoding import to_stored
from convexlab.documents.rows import FORMS, lines_of
from convexlab.documents.value import normalize
from convexlab.errors import ConvexlabError, InvalidValue
from convexlab_kernel import display
from convexlab_kernel.columns import Frame, is_frame

if TYPE_CHECKING:
    from pathlib import Path

    from convexlab.documents.cells import Column
    from convexlab_kernel.attachment import Attachment
    from convexlab_kernel.progress import Progress

Mode = Literal["requireEmpty", "append", "replace"]


@dataclass(frozen=True, slots=True)
class Batch:
    """Some rows as JSON lines.

    Args:
        rows: how many.
        lines: a line each.
        before: how many came before them.
    """

    rows: int
    lines: bytes
    before: int = 0


LINE = re.compile(r"line (\d+): (.*)", re.DOTALL)


class Imported(msgspec.Struct, frozen=True, rename="camel"):
    """What the deployment says of one batch."""

    num_written: int


def insert(
    attachment: Attachment,
    table: str,
    batches: Iterable[Batch],
    *,
    mode: Mode = "append",
    progress: Progress | None = None,
) -> int:
    """Write batches into a table, and count the documents.

    The first batch goes alone where it decides (`requireEmpty`, `replace`). What is
    appended is committed batch by batch: after a failure the error says how many
    documents are in.
    """
    attachment.need_admin("Importing")
    written = 0
    source = iter(batches)
    try:
        if mode != "append":
            first = next(source, Batch(0, b""))
            written += _send(attachment, table, first, mode)
            _count(progress, first.rows)
        for batch, count in _in_flight(attachment, table, source):
            written += count
            _count(progress, batch.rows)
    except ConvexlabError as error:
        if written:
            error.add_note(f"{written:,} documents were already written to `{table}`.")
        raise
    return written


def _count(progress: Progress | None, rows: int) -> None:
    if progress is not None:
        progress.update(rows)


def _in_flight(
    attachment: Attachment, table: str, batches: Iterator[Batch]
) -> Iterator[tuple[Batch, int]]:
    """Send batches, a few at a time; yield each with its count as it is committed."""
    turn = threading.Lock()
    flying: dict[Future[int], Batch] = {}
    with ThreadPoolExecutor(knobs.IMPORTS_IN_FLIGHT, "convexlab-import") as pool:
        for batch in batches:
            flying[pool.submit(_send, attachment, table, batch, "append", turn)] = batch
            if len(flying) >= knobs.IMPORTS_IN_FLIGHT:
                yield from _landed(flying)
        while flying:
            yield from _landed(flying)


def _landed(flying: dict[Future[int], Batch]) -> Iterator[tuple[Batch, int]]:
    done, _ = wait(flying, return_when=FIRST_COMPLETED)
    if any(future.exception() for future in done):
        # What was sent beside a refused batch is written too, and must be counted.
        done, _ = wait(flying)

    def refused_last(future: Future[int]) -> tuple[bool, int]:
        return future.exception() is not None, flying[future].before

    for future in sorted(done, key=refused_last):
        yield flying.pop(future), future.result()


def _send(
    attachment: Attachment,
    table: str,
    batch: Batch,
    mode: Mode,
    turn: threading.Lock | None = None,
) -> int:
    target = urlencode({"tableName": table, "format": "jsonLines", "mode": mode})
    try:
        body = attachment.post(
            f"/api/import?{target}", batch.lines, kind="application/jsonl", sending=turn
        )
    except ConvexlabError as error:
        raise _with_row(error, batch) from None
    return msgspec.json.decode(body, type=Imported).num_written


def _with_row(error: ConvexlabError, batch: Batch) -> ConvexlabError:
    """The error of a batch's line as that of the whole import's row."""
    found = LINE.match(str(error))
    if found is None:
        return error
    return type(error)(f"Row {batch.before + int(found[1])}: {found[2]}")


# -- rows to batches -----------------------------------------------------------


def batches_of(
    data: Any, *, missing: str = "absent"
) -> tuple[int | None, Iterator[Batch]]:
    """A data frame, a list of dicts or any iterable of them, as batches.

    Returns:
        the number of rows where it is known, and the batches.
    """
    if missing not in {"absent", "null"}:
        message = f'missing={missing!r}: a missing cell is "absent" or "null".'
        raise InvalidValue(message)
    if is_frame(data):
        frame = Frame(data, null=missing == "null")
        return frame.rows, _frame_batches(frame)
    if isinstance(data, Mapping):
        data = [data]
    if not isinstance(data, Iterable) or isinstance(data, (str, bytes)):
        message = (
            f"A {type(data).__name__} cannot be inserted: give a data frame, a dict, "
            "or an iterable of dicts."
        )
        raise InvalidValue(message)
    size = len(data) if isinstance(data, Sized) else None
    return size, _row_batches(data)


def _frame_batches(frame: Frame) -> Iterator[Batch]:
    start, step = 0, 100
    while start < frame.rows:
        stop = min(start + step, frame.rows)
        lines = frame.lines(start, stop)
        yield Batch(stop - start, lines, start)
        step = _step(stop - start, len(lines))
        start = stop


def _step(rows: int, size: int) -> int:
    """How many rows the next batch takes, by the size of the last."""
    fitting = knobs.IMPORT_BATCH_BYTES * rows // max(size, 1)
    return max(1, min(knobs.IMPORT_BATCH_LINES, fitting))


def _row_batches(rows: Iterable[Any]) -> Iterator[Batch]:
    return batched_lines(_line(number, row) for number, row in enumerate(rows, 1))


def _line(number: int, row: Any) -> bytes:
    document = normalize(row, f"row {number}")
    if not isinstance(document, dict):
        message = (
            f"Row {number} is {display.article(type(row).__name__)}; a document is a dict: "
            '{"field": value, …}.'
        )
        raise InvalidValue(message)
    return to_stored(document)


def batched_lines(lines: Iterable[bytes]) -> Iterator[Batch]:
    """Join lines to batches, bounded in number and bytes."""
    batch: list[bytes] = []
    size = before = 0
    for line in lines:
        batch.append(line)
        size += len(line)
        if len(batch) >= knobs.IMPORT_BATCH_LINES or size >= knobs.IMPORT_BATCH_BYTES:
            yield Batch(len(batch), b"\n".join(batch) + b"\n", before)
            before += len(batch)
            batch, size = [], 0
    if batch:
        yield Batch(len(batch), b"\n".join(batch) + b"\n", before)


# -- files ---------------------------------------------------------------------


def file_batches(
    path: Path,
    form: str | None = None,
    columns: Mapping[str, Column] = MappingProxyType({}),
) -> Iterator[Batch]:
    """A file's rows; its form by the suffix where it is not said.

    Args:
        path: the file.
        form: csv, jsonLines or jsonArray.
        columns: what the schema says of a csv's columns.
    """
    form = form or FORMS.get(path.suffix.lower())
    if form is None:
        message = (
            f"{path.name}: its kind is not known. Files end in .csv, .json or .jsonl, "
            "or say it: --format csv | jsonLines | jsonArray."
        )
        raise InvalidValue(message)
    return batched_lines(_file_lines(path, form, columns))


def _file_lines(
    path: Path, form: str, columns: Mapping[str, Column]
) -> Iterator[bytes]:
    with path.open("rb") as file:
        yield from lines_of(file, form, path.name, columns)
