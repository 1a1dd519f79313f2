"""Frames are as RFC 6455 and RFC 7692 have them."""

from __future__ import annotations

import zlib

import hypothesis.strategies as st
import pytest
from hypothesis import given

from convexlab import knobs
from convexlab.web.frames import Framer, close_frame, text_frames


def parse(data):
    """The frames in `data`, as RFC 6455 has them."""
    while data:
        first, size, at = data[0], data[1], 2
        assert size < 128, "servers do not mask"
        if size == 126:
            size, at = int.from_bytes(data[2:4]), 4
        elif size == 127:
            size, at = int.from_bytes(data[2:10]), 10
        yield first >> 7, first & 127, data[at : at + size]
        data = data[at + size :]


@pytest.mark.parametrize(
    "size", [0, 125, 126, 65_535, 65_536, knobs.FRAGMENT_OVER_BYTES]
)
def test_a_text_is_one_frame(size):
    assert list(parse(text_frames(b"x" * size))) == [(1, 1, b"x" * size)]


@given(st.integers(1, 3 * knobs.FRAGMENT_BYTES))
def test_a_long_text_is_cut_into_frames_that_every_client_takes(more):
    text = b"x" * (knobs.FRAGMENT_OVER_BYTES + more)
    frames = list(parse(text_frames(text)))
    assert b"".join(payload for _, _, payload in frames) == text
    assert all(len(payload) <= 16 << 20 for _, _, payload in frames)
    assert [opcode for _, opcode, _ in frames] == [1] + [0] * (len(frames) - 1)
    assert [final for final, _, _ in frames] == [0] * (len(frames) - 1) + [1]


def test_a_close_says_why_or_nothing():
    assert close_frame(1005, "x") == b"\x88\x00"
    ((_, opcode, payload),) = parse(close_frame(1013, "é" * 100))
    assert opcode == 8
    assert len(payload) <= 125
    assert payload[:2] == (1013).to_bytes(2)
    payload[2:].decode()


@given(st.integers(9, 15), st.binary(min_size=knobs.COMPRESS_OVER_BYTES + 1))
def test_what_is_worth_it_is_compressed_where_that_was_agreed_on(bits, text):
    ((final, first, payload),) = parse(text_frames(text, window_bits=bits))
    assert (final, first) == (1, 0x41), "the first bit that is reserved says so"
    assert zlib.decompress(payload + b"\0\0\xff\xff\x03\0", wbits=-bits) == text


def test_what_is_short_goes_as_it_is():
    text = b"x" * knobs.COMPRESS_OVER_BYTES
    assert text_frames(text, window_bits=15) == text_frames(text)


def test_a_long_compressed_message_says_so_in_its_first_frame_only(monkeypatch):
    monkeypatch.setattr(knobs, "FRAGMENT_OVER_BYTES", 10)
    monkeypatch.setattr(knobs, "FRAGMENT_BYTES", 4)
    frames = list(parse(text_frames(bytes(range(256)) * 5, window_bits=15)))
    assert [opcode for _, opcode, _ in frames] == [0x41] + [0] * (len(frames) - 1)
    assert [final for final, _, _ in frames] == [0] * (len(frames) - 1) + [1]


def test_what_many_are_told_is_cut_and_compressed_once():
    framer = Framer()
    text = b"x" * (knobs.COMPRESS_OVER_BYTES + 1)
    for bits in (0, 15, 9, 0):
        frames = framer.frames(text, bits)
        assert frames == text_frames(text, window_bits=bits)
        assert framer.frames(text, bits) is frames
    assert framer.frames(b"other", 0) == text_frames(b"other")


def test_what_is_large_is_not_kept():
    framer = Framer()
    large = b"x" * (knobs.SHARED_TEXT_BYTES + 1)
    assert framer.frames(large, 0) is not framer.frames(large, 0)
