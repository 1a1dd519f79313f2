"""Text indexes that a function process searches by itself.

A search that is two waits for another process costs twice what Tantivy takes. So where
the keeper says that an index is in its files as it stands, and is asked for it often,
this process opens them too; they are mapped, so all have them in memory once.

    ask ─▶ is it here, and known to be the same at that timestamp? ─▶ searched here
             no ─▶ the keeper, which says with its answer how long that is known

Whatever the keeper does not vouch for is asked of it: each first search after a commit,
and all of an index that has changed since its files were written. It is also asked once
a second, as its files may be better ones by then.
"""

from __future__ import annotations

import threading
import traceback
from collections import Counter
from time import monotonic  # N.B. the clock itself: `time.…` stands still in runs
from typing import TYPE_CHECKING

from convexlab import knobs
from convexlab.followers.text.request import (
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
    from convexlab.followers.text.request import Rested
    from convexlab.followers.text.rested import RestedIndex


class NearTexts:
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
        near = self._near.get(key)
        if near is not None and near.has(asked, at) and monotonic() < near.ask_again:
            return encode_answer(near.best(asked, at))
        answer = self._keeper.ask(name, request, at=at, patience_seconds=patience)
        self._heed(key, decode_answer(answer).rested)
        return answer

    def _heed(self, key: Key, rested: Rested | None) -> None:
        """What the keeper says of an index."""
        near = self._near.get(key)
        if near is not None and rested is not None and near.heed(rested):
            near.ask_again = monotonic() + knobs.TEXT_NEAR_SECONDS
            if near.rested.commit != rested.commit:  # its segments became fewer
                self._open(key, rested)
        elif rested is None:
            self._near.pop(key, None)
            self._asked.pop(key, None)
        else:
            self._asked[key] += 1
            if self._asked[key] >= knobs.TEXT_NEAR_SEARCHES:
                self._open(key, rested)

    # -- opening --------------------------------------------------------------------

    def _open(self, key: Key, rested: Rested) -> None:
        """On a thread of its own: loading NumPy and Tantivy takes a while."""
        if self._opening is None or not self._opening.is_alive():
            self._asked.pop(key, None)
            self._opening = threading.Thread(
                target=self._look, args=(key, rested), name="near texts", daemon=True
            )
            self._opening.start()

    def _look(self, key: Key, rested: Rested) -> None:
        from convexlab.followers.text import resting

        replacements.install()  # N.B. what users may ask NumPy, now that it is loaded
        try:
            near = resting.look_at(self._folder, key, rested)
        except FileNotFoundError:  # they are others by now: an answer says which
            return
        except Exception:  # noqa: BLE001 - the keeper is asked, who has it in memory
            traceback.print_exc()
            return
        near.ask_again = monotonic() + knobs.TEXT_NEAR_SECONDS
        self._near[key] = near
