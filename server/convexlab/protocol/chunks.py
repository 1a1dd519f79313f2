"""Chunks: a Transition too large for one message, told in parts.

npm's client shows no sign of life while a message of megabytes arrives, so newer
ones take a Transition's text in parts, each a message of its own:

    TransitionChunk 0/3 · TransitionChunk 1/3 · TransitionChunk 2/3   ──▶ one Transition

Only a Ping may come between two parts: any other message makes the client forget
what it has. Python's client takes no such message at all.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from convexlab import knobs
from convexlab.protocol.messages import TransitionChunk, encode

if TYPE_CHECKING:
    from collections.abc import Iterator

_CONTINUES: Final = 0b1000_0000  # of a UTF-8 character: a byte that is not its first
_CONTINUES_MASK: Final = 0b1100_0000


def in_chunks(transition: bytes) -> list[bytes]:
    """A Transition's text as the messages to send: itself, or its parts in order."""
    if len(transition) <= knobs.CHUNK_BYTES:
        return [transition]
    parts = list(_split(transition, knobs.CHUNK_BYTES))
    name = str(len(transition))
    return [
        encode(TransitionChunk(part.decode(), number, len(parts), name))
        for number, part in enumerate(parts)
    ]


def _split(text: bytes, size: int) -> Iterator[bytes]:
    """Parts of at most `size` bytes, none of which ends inside a character."""
    start = 0
    while start < len(text):
        end = min(start + size, len(text))
        while end < len(text) and text[end] & _CONTINUES_MASK == _CONTINUES:
            end -= 1
        yield text[start:end]
        start = end
