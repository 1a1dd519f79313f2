"""What a group of commits wrote, turned to whom it concerns: the places, by index.

A place is an index key that appeared, changed or went. Where the group brings the
document's versions, each place knows the one that is or was there, so that filters
can judge it; where it does not, the place concerns whoever read there.
"""

from __future__ import annotations

from bisect import bisect_left
from collections import defaultdict
from functools import lru_cache
from operator import itemgetter
from typing import TYPE_CHECKING, Any, NamedTuple

from convexlab.documents.bodies import from_body
from convexlab.documents.expression import decode, equalities
from convexlab.documents.predicate import predicate
from convexlab.errors import CallerError

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, KeysView, Mapping

    from convexlab.documents.expression import Equalities
    from convexlab.engine.look import Read
    from convexlab.engine.versions import Versions
    from convexlab.engine.write_set import IndexKey


class Version:
    """A document as it was written, decoded when a filter first looks at it."""

    __slots__ = ("_body", "_document")

    def __init__(self, body: bytes) -> None:
        self._body = body
        self._document: dict[str, Any] | None = None

    @property
    def document(self) -> Mapping[str, Any]:
        """The decoded document."""
        if self._document is None:
            self._document = from_body(self._body)
        return self._document


class Place(NamedTuple):
    """A key, and what is or was there; None: nobody says."""

    key: bytes
    version: Version | None


_key = itemgetter(0)


class Written:
    """See the module.

    Args:
        keys: places of which no version is known.
        versions: documents before and after.
    """

    __slots__ = ("_places", "_sorted")

    def __init__(
        self, keys: Iterable[IndexKey] = (), versions: Iterable[Versions] = ()
    ) -> None:
        self._places: defaultdict[int, list[Place]] = defaultdict(list)
        self._sorted: set[int] = set()
        for index_id, key in keys:
            self._places[index_id].append(Place(key, None))
        for old, new, old_keys, new_keys in versions:
            self._put(old, old_keys)
            self._put(new, new_keys)

    def _put(self, body: bytes | None, keys: Iterable[IndexKey]) -> None:
        if body is not None:
            version = Version(body)
            for index_id, key in keys:
                self._places[index_id].append(Place(key, version))

    @property
    def index_ids(self) -> KeysView[int]:
        """The indexes that have places."""
        return self._places.keys()

    def places(self, index_id: int) -> list[Place]:
        """The places in an index, in the order of keys."""
        places = self._places[index_id]
        if index_id not in self._sorted:
            places.sort(key=_key)
            self._sorted.add(index_id)
        return places

    def touches(self, reads: Iterable[Read]) -> bool:
        """Whether one who read this would read something else now."""
        return any(
            self._touches(read) for read in reads if read.index_id in self._places
        )

    def _touches(self, read: Read) -> bool:
        places = self.places(read.index_id)
        for at in range(bisect_left(places, read.start, key=_key), len(places)):
            key, version = places[at]
            if read.end is not None and key >= read.end:
                break
            if read.where is None or version is None:
                return True
            if filter_of(read.where).lets_in(version):
                return True
        return False


class Filter:
    """A filter that documents are read through, where their versions are judged."""

    __slots__ = ("_judge", "_node", "equalities")

    def __init__(self, encoded: bytes) -> None:
        self._node = decode(encoded)
        self._judge: Callable[[Mapping[str, Any]], bool] | None = None
        self.equalities: Equalities | None = equalities(self._node)

    def lets_in(self, version: Version) -> bool:
        """Whether a version matters: it passes, or makes the query fail."""
        if self._judge is None:
            self._judge = predicate(self._node)
        try:
            return self._judge(version.document)
        except CallerError:
            return True


@lru_cache(maxsize=16_384)
def filter_of(encoded: bytes) -> Filter:
    """The filter of these bytes."""
    return Filter(encoded)
