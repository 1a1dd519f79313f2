"""Frames: what a server writes to a WebSocket, as bytes (RFC 6455, RFC 7692).

A server's frames are not masked. A message that is long for some client goes in
several; where it was agreed on, one that is worth it goes compressed.
"""

from __future__ import annotations

import struct
import zlib
from typing import Final

from convexlab import knobs
from convexlab.sync.work import NO_STATUS

PING: Final = 0x09
PONG: Final = 0x0A
_CONTINUATION: Final = 0x00
_TEXT: Final = 0x01
_CLOSE: Final = 0x08
_FIN: Final = 0x80
_COMPRESSED: Final = 0x40  # of a message's first frame
_MOST_REASON_BYTES: Final = 123
_SYNC_MARK: Final = b"\0\0\xff\xff"  # what a flush ends with, left out on the wire


def frame(opcode: int, payload: bytes, *, final: bool = True) -> bytes:
    """One unmasked WebSocket frame; `opcode` with the bits beside it."""
    first = opcode | (_FIN if final else 0)
    size = len(payload)
    if size < 126:
        return bytes((first, size)) + payload
    if size < 1 << 16:
        return struct.pack("!BBH", first, 126, size) + payload
    return struct.pack("!BBQ", first, 127, size) + payload


def text_frames(text: bytes, *, window_bits: int = 0) -> bytes:
    """One text message, cut into frames that every client takes.

    Args:
        text: of the message.
        window_bits: what was agreed on for compressing; 0: nothing was.
    """
    opcode = _TEXT
    if window_bits and len(text) > knobs.COMPRESS_OVER_BYTES:
        opcode, text = _TEXT | _COMPRESSED, _compressed(text, window_bits)
    if len(text) <= knobs.FRAGMENT_OVER_BYTES:
        return frame(opcode, text)
    step = knobs.FRAGMENT_BYTES
    return b"".join(
        frame(
            opcode if start == 0 else _CONTINUATION,
            text[start : start + step],
            final=start + step >= len(text),
        )
        for start in range(0, len(text), step)
    )


class Framer:
    """Cuts texts into frames; what many are told, one after another, once.

    A text that is the same object as the last one has the same frames.
    """

    def __init__(self) -> None:
        self._text = b""
        self._window_bits = 0
        self._frames = text_frames(b"")

    def frames(self, text: bytes, window_bits: int) -> bytes:
        """See `text_frames`."""
        if text is self._text and window_bits == self._window_bits:
            return self._frames
        frames = text_frames(text, window_bits=window_bits)
        if len(text) <= knobs.SHARED_TEXT_BYTES:
            self._text, self._window_bits, self._frames = text, window_bits, frames
        return frames


def _compressed(text: bytes, window_bits: int) -> bytes:
    """Each message by itself: what a session's last ones were is not kept."""
    deflate = zlib.compressobj(knobs.COMPRESSION_LEVEL, wbits=-window_bits)
    packed = deflate.compress(text) + deflate.flush(zlib.Z_SYNC_FLUSH)
    return packed.removesuffix(_SYNC_MARK)


def close_frame(code: int, reason: str) -> bytes:
    """The frame that ends a connection; `NO_STATUS` says nothing more than that."""
    if code == NO_STATUS:
        return frame(_CLOSE, b"")
    text = reason.encode()[:_MOST_REASON_BYTES].decode(errors="ignore").encode()
    return frame(_CLOSE, code.to_bytes(2) + text)
