"""The numbers of a list as their own bytes, as a body has them (see `bodies`)."""

from __future__ import annotations

from typing import Literal, NamedTuple


class Numbers(NamedTuple):
    """The numbers of a packed list.

    Attributes:
        kind: what NumPy calls their type.
        data: they, side by side.
    """

    kind: Literal["<f4", "<f8"]
    data: bytes
