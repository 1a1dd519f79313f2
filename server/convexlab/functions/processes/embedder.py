"""The embedder's process: texts in, vectors out, one request after another.

It speaks frames on its standard input and output, and ends when the input does. What
libraries print goes to its standard error.
"""

from __future__ import annotations

import os
import sys
from typing import TYPE_CHECKING

import msgspec

from convexlab.errors import ConvexlabError, InternalError
from convexlab.functions.embedding_model import embed
from convexlab.functions.processes.failures import failure_from
from convexlab.functions.processes.keeper_link import HEAD, framed
from convexlab.functions.processes.messages import Failure

if TYPE_CHECKING:
    from typing import BinaryIO


class Texts(msgspec.Struct, frozen=True, array_like=True):
    """Texts, and the model to embed them with."""

    model: str
    texts: list[str]


class Embedded(msgspec.Struct, frozen=True, array_like=True):
    """Their vectors, or why there are none."""

    vectors: list[list[float]]
    failure: Failure | None = None


def main() -> None:
    """Answer until nobody asks any more."""
    answers = os.fdopen(os.dup(1), "wb")
    os.dup2(2, 1)  # what libraries print is no answer
    decode = msgspec.msgpack.Decoder(Texts).decode
    while (frame := _receive(sys.stdin.buffer)) is not None:
        answers.write(framed(msgspec.msgpack.encode(embedded(decode(frame)))))
        answers.flush()


def embedded(asked: Texts) -> Embedded:
    """The answer to a request."""
    try:
        return Embedded(embed(asked.texts, model=asked.model))
    except ConvexlabError as error:
        return Embedded([], failure_from(error))
    except Exception as error:  # noqa: BLE001 - one request's, not the process's
        return Embedded([], failure_from(InternalError(f"embedding: {error!r}")))


def _receive(source: BinaryIO) -> bytes | None:
    head = source.read(HEAD.size)
    if len(head) < HEAD.size:
        return None
    return source.read(HEAD.unpack(head)[0])


if __name__ == "__main__":
    main()
