"""Indexes that a function process searches by itself.

A search that is two waits for another process costs up to twice what it takes. So where
the keeper says that an index is in its files as it stands, and is asked for it often,
this process opens them too; they are mapped, so all have them in memory once.

    ask ─▶ is it here, and known to be the same at that timestamp? ─▶ searched here
             no ─▶ the keeper, which says with its answer how long that is known

Whatever the keeper does not vouch for is asked of it: each first search after a commit,
and all of an index that has changed since its files were written. It is also asked once
a second, as its files may be others by then.

Invariants
    R1  All files that are open here have at most `NEAR_BYTES`.
    R2  Files into which somebody wrote are not searched later than `NEAR_CHECK_SECONDS`
        after that, nor opened again. Whoever reads what was cut off them meanwhile ends
        the process, which is replaced.
"""

from __future__ import annotations

import threading
import traceback
from abc import ABC, abstractmethod
from collections import Counter
from time import monotonic  # N.B. the clock itself: `time.…` stands still in runs
from typing import TYPE_CHECKING, ClassVar, Generic, Protocol

from convexlab import knobs
from convexlab.followers.rested import A, S
from convexlab.functions import replacements

if TYPE_CHECKING:
    from pathlib import Path

    from convexlab.engine.timestamp import Timestamp
    from convexlab.followers.keeper import DerivedIndexes
    from convexlab.followers.rested import Rested, RestedIndex
    from convexlab.followers.schema_indexes import Key


class LookAt(Protocol[A, S]):
    """Opens the files of an index."""

    def __call__(
        self, folder: Path, key: Key, rested: Rested, room: int
    ) -> RestedIndex[A, S] | None:
        """An index at rest.

        Args:
            folder: of the follower's files.
            key: the index's.
            rested: what the keeper said.
            room: how many bytes its files may have; None is given where they have more.

        Raises:
            FileNotFoundError: they are others by now.
            ValueError: they are not what was left.
        """


class NearIndexes(ABC, Generic[A, S]):
    """Those of one follower; it is `followers.keeper.DerivedIndexes`, for one caller at a time.

    Args:
        keeper: what is asked for all else.
        folder: the deployment's.

    Attributes:
        name: the follower's.
        folder: of its files, in the deployment's.
    """

    name: ClassVar[str]
    folder: ClassVar[str]

    def __init__(self, keeper: DerivedIndexes, folder: Path) -> None:
        self._keeper = keeper
        self._folder = folder / self.folder
        self._near: dict[Key, RestedIndex[A, S]] = {}
        self._asked: Counter[Key] = Counter()
        self._spoilt: dict[Key, tuple[str, int]] = {}  # the files that cannot be read
        self._opening: threading.Thread | None = None

    # -- what the followers differ in ---------------------------------------------------

    @abstractmethod
    def decode_request(self, request: bytes) -> A | None:
        """What is asked; None: only the keeper can say."""

    @abstractmethod
    def decode_answer(self, answer: bytes) -> S:
        """What the keeper said."""

    @abstractmethod
    def encode_answer(self, answer: S) -> bytes:
        """As it would say that."""

    @abstractmethod
    def load(self) -> LookAt[A, S]:
        """What opens an index's files; what searches them comes with it."""

    # -- asking -------------------------------------------------------------------------

    def ask(
        self, name: str, request: bytes, *, at: Timestamp, patience_seconds: float
    ) -> bytes:
        """See `DerivedIndexes.ask`."""
        patience = patience_seconds
        asked = self.decode_request(request) if name == self.name else None
        if asked is None:
            return self._keeper.ask(name, request, at=at, patience_seconds=patience)
        key = (asked.table, asked.index)
        near = self._found(key, asked, at)
        if near is not None:
            return self.encode_answer(near.index.answer(asked, at))
        answer = self._keeper.ask(name, request, at=at, patience_seconds=patience)
        self._heed(key, self.decode_answer(answer).rested)
        return answer

    def _found(self, key: Key, asked: A, at: int) -> RestedIndex[A, S] | None:
        """The index, if it can answer this."""
        near = self._near.get(key)
        now = monotonic()
        if near is None or not near.has(asked, at) or now >= near.ask_again:
            return None
        if now >= near.check_again:
            if not near.is_intact:
                self._spoilt[key] = _files_of(near.rested)  # R2
                del self._near[key]
                return None
            near.check_again = now + knobs.NEAR_CHECK_SECONDS
        return near

    def _heed(self, key: Key, rested: Rested | None) -> None:
        """What the keeper says of an index."""
        self._let_go()
        near = self._near.get(key)
        if rested is None:
            self._near.pop(key, None)
            self._asked.pop(key, None)
        elif near is not None and near.heed(rested):
            near.ask_again = monotonic() + knobs.NEAR_SECONDS
            if near.rested.commit != rested.commit:
                self._open(key, rested)
        else:
            self._near.pop(key, None)
            self._asked[key] += 1
            if self._asked[key] >= knobs.NEAR_SEARCHES:
                self._open(key, rested)

    def _let_go(self) -> None:
        """Of what nobody has asked for lately: its files may be others by now."""
        before = monotonic() - knobs.NEAR_IDLE_SECONDS
        idle = [key for key, near in self._near.items() if near.ask_again < before]
        for key in idle:
            del self._near[key]

    # -- opening --------------------------------------------------------------------

    def _open(self, key: Key, rested: Rested) -> None:
        """On a thread of its own: loading NumPy and what searches takes a while."""
        if self._opening is not None and self._opening.is_alive():
            return
        self._asked.pop(key, None)
        if self._spoilt.get(key) == _files_of(rested):
            return
        room = knobs.NEAR_BYTES - sum(near.bytes for near in self._near.values())  # R1
        self._opening = threading.Thread(
            target=self._look,
            args=(key, rested, room),
            name=f"near {self.name}",
            daemon=True,
        )
        self._opening.start()

    def _look(self, key: Key, rested: Rested, room: int) -> None:
        look_at = self.load()
        replacements.install()  # N.B. what users may ask NumPy, now that it is loaded
        try:
            near = look_at(self._folder, key, rested, room)
        except FileNotFoundError:  # they are others by now: an answer says which
            return
        except Exception:  # noqa: BLE001 - the keeper is asked, who has it in memory
            traceback.print_exc()
            self._spoilt[key] = _files_of(rested)
            return
        if near is not None:
            near.ask_again = monotonic() + knobs.NEAR_SECONDS
            self._near[key] = near


def _files_of(rested: Rested) -> tuple[str, int]:
    return rested.name, rested.commit
