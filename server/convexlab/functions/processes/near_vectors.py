"""Vector indexes that a function process searches by itself.

As with texts (`near_texts`) a search is then no wait for another process: where the
keeper says that an index is in its files as it stands, and is asked for it often, this
process opens them too. They are mapped, so all have them in memory once.

    ask ─▶ is it here, and known to be the same at that timestamp? ─▶ searched here
             no ─▶ the keeper, which says with its answer how long that is known

Whatever the keeper does not vouch for is asked of it: each first search after a commit,
all of an index that has changed since its files were written, and what goes through a
filter. It is also asked once a second, as its files may be others by then.

Invariants
    R1  All files that are open here have at most `VECTOR_NEAR_BYTES`.
    R2  Files into which somebody wrote are not searched, nor opened again.
"""

from __future__ import annotations

import threading
import traceback
from collections import Counter
from time import monotonic  # N.B. the clock itself: `time.…` stands still in runs
from typing import TYPE_CHECKING

from convexlab import knobs
from convexlab.followers.vector.request import (
    FOLDER,
    NAME,
    decode_answer,
    decode_request,
    encode_answer,
)
from convexlab.functions import replacements

if TYPE_CHECKING:
    from pathlib import Path

    from convexlab.engine.timestamp import Timestamp
    from convexlab.followers.keeper import DerivedIndexes
    from convexlab.followers.schema_indexes import Key
    from convexlab.followers.vector.request import Rested, VectorRequest
    from convexlab.followers.vector.rested import RestedIndex


class NearVectors:
    """See the module; it is `followers.keeper.DerivedIndexes`, for one caller at a time.

    Args:
        keeper: what is asked for all else.
        folder: the deployment's.
    """

    def __init__(self, keeper: DerivedIndexes, folder: Path) -> None:
        self._keeper = keeper
        self._folder = folder / FOLDER
        self._near: dict[Key, RestedIndex] = {}
        self._asked: Counter[Key] = Counter()
        self._spoilt: dict[Key, str] = {}  # the files that cannot be read
        self._opening: threading.Thread | None = None

    def ask(
        self, name: str, request: bytes, *, at: Timestamp, patience_seconds: float
    ) -> bytes:
        """See `DerivedIndexes.ask`."""
        patience = patience_seconds
        if name != NAME:
            return self._keeper.ask(name, request, at=at, patience_seconds=patience)
        asked = decode_request(request)
        key = (asked.table, asked.index)
        near = self._found(key, asked, at)
        if near is not None:
            return encode_answer(near.nearest(asked))
        answer = self._keeper.ask(name, request, at=at, patience_seconds=patience)
        if asked.filters is None:
            self._heed(key, decode_answer(answer).rested)
        return answer

    def _found(self, key: Key, asked: VectorRequest, at: int) -> RestedIndex | None:
        """The index, if it can answer this."""
        near = self._near.get(key)
        if near is None or not near.has(asked, at) or monotonic() >= near.ask_again:
            return None
        if near.is_intact:
            return near
        self._spoilt[key] = near.rested.name  # R2
        del self._near[key]
        return None

    def _heed(self, key: Key, rested: Rested | None) -> None:
        """What the keeper says of an index."""
        self._let_go()
        near = self._near.get(key)
        if near is not None and rested is not None and near.heed(rested):
            near.ask_again = monotonic() + knobs.VECTOR_NEAR_SECONDS
            return
        self._near.pop(key, None)
        if rested is None:
            self._asked.pop(key, None)
        elif rested.name != self._spoilt.get(key):
            self._asked[key] += 1
            if self._asked[key] >= knobs.VECTOR_NEAR_SEARCHES:
                self._open(key, rested)

    def _let_go(self) -> None:
        """Of what nobody has asked for lately: its files may be others by now."""
        before = monotonic() - knobs.VECTOR_NEAR_IDLE_SECONDS
        idle = [key for key, near in self._near.items() if near.ask_again < before]
        for key in idle:
            del self._near[key]

    # -- opening --------------------------------------------------------------------

    def _open(self, key: Key, rested: Rested) -> None:
        """On a thread of its own: loading NumPy and FAISS takes a while."""
        if self._opening is None or not self._opening.is_alive():
            self._asked.pop(key, None)
            room = knobs.VECTOR_NEAR_BYTES  # R1
            room -= sum(near.bytes for near in self._near.values())
            self._opening = threading.Thread(
                target=self._look,
                args=(key, rested, room),
                name="near vectors",
                daemon=True,
            )
            self._opening.start()

    def _look(self, key: Key, rested: Rested, room: int) -> None:
        from convexlab.followers.vector import resting

        replacements.install()  # N.B. what users may ask NumPy, now that it is loaded
        try:
            near = resting.look_at(self._folder, key, rested, room)
        except FileNotFoundError:  # they are others by now: an answer says which
            return
        except Exception:  # noqa: BLE001 - the keeper is asked, who has it in memory
            traceback.print_exc()
            self._spoilt[key] = rested.name
            return
        if near is not None:
            near.ask_again = monotonic() + knobs.VECTOR_NEAR_SECONDS
            self._near[key] = near
