"""Floats side by side, as embeddings have hundreds: told at the speed of C.

    each number's type is asked for             6.2 µs of 384 numbers
    all are encoded, and their first bytes seen 2.4

msgpack says a float in nine bytes, and the first of them is said of nothing else: so
what has that byte at each ninth place is all floats.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

import msgspec

if TYPE_CHECKING:
    from collections.abc import Sequence

_encode: Final = msgspec.msgpack.Encoder().encode
_FLOAT64: Final = 0xCB
_BYTES: Final = 9
# As many elements make a list whose length msgpack says in so many bytes.
_FEWEST, _MOST = 1 << 4, (1 << 16) - 1
_HEAD_BYTES: Final = 3
# What msgpack's encoder raises of what it cannot say.
_UNSAID: Final = (
    TypeError,
    ValueError,
    AttributeError,
    ArithmeticError,
    RecursionError,
)


def are_floats(values: Sequence[Any]) -> bool:
    """Whether all of them are floats: no whole numbers, and no subclass of float.

    Args:
        values: a list; None of those it has is asked anything.
    """
    count = len(values)
    if not _FEWEST <= count <= _MOST:
        return [*map(type, values)].count(float) == count
    if type(values[0]) is not float:
        return False
    try:
        said = _encode(values)
    except _UNSAID:
        return False
    return (
        len(said) == _HEAD_BYTES + _BYTES * count
        and said[_HEAD_BYTES::_BYTES].count(_FLOAT64) == count
    )
