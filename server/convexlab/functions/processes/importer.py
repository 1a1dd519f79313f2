"""The importer: the gateway's end of an import, from one body of lines to many batches.

    body ─▶ batches ─▶ a reader prepares, a few ahead ─▶ the writer inserts ─▶ durable
                                                  in the order of the lines

The writer takes batches when nobody else has anything for it, and gathers them to
large groups, for what a group costs it pays by the page of an index and not by the
document; so enough of them must be on their way, but not more, or memory would grow.

Invariants
    B1  Batches reach the writer in the order of their lines, those of one request
        after those of another.
    B2  After a batch that failed none of its request is sent.
"""

from __future__ import annotations

import asyncio
import secrets
from collections import deque
from typing import TYPE_CHECKING, Any, Literal, NamedTuple, TypeAlias

import msgspec

from convexlab import knobs
from convexlab.errors import ConvexlabError
from convexlab.functions.processes.failures import error_from
from convexlab.functions.processes.messages import Answer, Import, PrepareImport

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Iterator

    from convexlab.functions.processes.supervisor import Supervisor

Mode: TypeAlias = Literal["append", "requireEmpty", "replace"]
Answered: TypeAlias = "asyncio.Future[Answer]"


class Batch(NamedTuple):
    """Some lines.

    Attributes:
        first_line: the number of the first.
        lines: LF between them.
        is_empty: whether there is none, not even an empty one.
    """

    first_line: int
    lines: bytes
    is_empty: bool = False


def batches_of(body: bytes) -> Iterator[Batch]:
    """A body's lines in batches; at least one, if without lines."""
    if not body:
        yield Batch(1, b"", is_empty=True)
        return
    has_returns = b"\r" in body
    body = b"\n".join(body.splitlines()) if has_returns else body.removesuffix(b"\n")
    most = knobs.IMPORT_BATCH_DOCUMENTS
    window, start, number = 64 * most, 0, 1
    while start <= len(body):
        lines = body[start : start + window].split(b"\n", most)
        if len(lines) <= most and start + window < len(body):
            if window < knobs.IMPORT_BATCH_MOST_BYTES or len(lines) == 1:
                window *= 2  # there is room for more of such lines
                continue
            lines.pop()  # not all of it
        taken = b"\n".join(lines[:most])
        yield Batch(number, taken)
        number += len(lines[:most])
        start += len(taken) + 1


class Importer:
    """See the module.

    Args:
        supervisor: of the processes.
    """

    def __init__(self, supervisor: Supervisor) -> None:
        self._supervisor = supervisor
        self._turn = asyncio.Lock()
        self._waiting = 0
        self._room = asyncio.Semaphore(knobs.IMPORT_BATCHES_ON_THEIR_WAY)

    async def insert(self, table: str, mode: Mode, body: bytes) -> int:
        """Insert a body's lines, each batch of them in one transaction.

        Args:
            table: where they go.
            mode: what the first batch does about the documents that are there.
            body: one document a line.

        Returns:
            How many documents were written.

        Raises:
            CallerError: a line is refused; it says which. Batches before are written.
        """
        self._waiting += 1
        async with self._turn:  # B1
            self._waiting -= 1
            answers = await self._send_all(table, mode, body)
        written = 0
        for answer in answers:
            try:
                written += _count(await answer)
            except ConvexlabError as error:
                error.add_note(f"{written} documents before it were written.")
                raise
        return written

    async def _send_all(self, table: str, mode: Mode, body: bytes) -> list[Answered]:
        request = self._supervisor.next_number()
        answers: list[Answered] = []
        async for batch, prepared, is_last in self._prepared(table, mode, body):
            await self._room.acquire()
            if any(map(_has_failed, answers)):  # B2
                self._room.release()
                break
            is_prepared = bool(prepared)
            answer = self._supervisor.write(
                Import(
                    number=self._supervisor.next_number(),
                    call_id=f"g{secrets.token_hex(16)}",
                    table=table,
                    lines=[] if is_prepared else _lines(batch),
                    first_line=batch.first_line,
                    mode=mode if batch.first_line == 1 else "append",
                    prepared=prepared,
                    request=request,
                    has_more=not is_last or self._waiting > 0,
                )
            )
            answer.add_done_callback(self._arrived)
            answers.append(answer)
        return answers

    def _arrived(self, answer: Answered) -> None:
        self._room.release()
        _seen(answer)

    async def _prepared(
        self, table: str, mode: Mode, body: bytes
    ) -> AsyncIterator[tuple[Batch, bytes, bool]]:
        """Batches in order, what a reader made of each, and whether it is the last."""
        ahead: deque[tuple[Batch, Answered | None]] = deque()
        for batch in batches_of(body):
            if len(ahead) > knobs.IMPORT_BATCHES_AHEAD:
                before, making = ahead.popleft()
                yield before, await _made(making), False
            # What makes room makes another table of it, perhaps.
            is_plain = not batch.is_empty and (mode == "append" or batch.first_line > 1)
            ahead.append((batch, self._prepare(table, batch) if is_plain else None))
        while ahead:
            before, making = ahead.popleft()
            yield before, await _made(making), not ahead

    def _prepare(self, table: str, batch: Batch) -> Answered:
        number = self._supervisor.next_number()
        making = self._supervisor.read(PrepareImport(number, table, batch.lines))
        making.add_done_callback(_seen)
        return making


def _seen(answer: Answered) -> None:
    """A request that is given up asks for no answer, so its failure is no surprise."""
    if not answer.cancelled():
        answer.exception()


async def _made(making: Answered | None) -> bytes:
    """What a reader made; nothing if it could not, or died of it."""
    if making is None:
        return b""
    try:
        return (await making).body
    except ConvexlabError:
        return b""


def _lines(batch: Batch) -> list[bytes]:
    return [] if batch.is_empty else batch.lines.split(b"\n")


def _has_failed(answer: Answered) -> bool:
    return answer.done() and (
        answer.exception() is not None or answer.result().failure is not None
    )


def _count(answer: Answer) -> int:
    if answer.failure is not None:
        raise error_from(answer.failure)
    written: dict[str, Any] = msgspec.json.decode(answer.body)
    return int(written["numWritten"])
