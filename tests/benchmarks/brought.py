"""How many bytes a kernel's requests bring."""

from __future__ import annotations

from contextlib import contextmanager
from typing import TYPE_CHECKING, Any
from unittest import mock

from convexlab_kernel.endpoint import Answer, Endpoint

if TYPE_CHECKING:
    from collections.abc import Iterator


@contextmanager
def heard() -> Iterator[list[int]]:
    """The sizes of what is answered meanwhile, one after another."""
    sizes: list[int] = []
    answer = Endpoint.answer

    def noted(self: Endpoint, *what: Any, **how: Any) -> Answer:
        told = answer(self, *what, **how)
        sizes.append(len(told.body))
        return told

    with mock.patch.object(Endpoint, "answer", noted):
        yield sizes
