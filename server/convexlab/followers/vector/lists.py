"""Lists: the vectors, in FAISS's inverted lists, and the nearest of them.

One list while they are few: then every one is compared, and the answer is exact. Many
when they are many (`building`): then a search compares those of the lists whose
centres are nearest. Either way vectors come and go one by one, each under its slot.

A filter leaves some slots of all lists. A search through one goes through the lists
that have any of those, the nearest first, until it has compared as many as a search
without a filter would; so a filter that few pass is answered exactly, and none that
passes is missed because it lies far from all others. Where the filter goes with the
lists (what passes lies in some, not in others) the nearest are in more of them than
elsewhere: then it goes on until more lists bring hardly anything nearer. What passes a
filter that is asked for again lies together (`excerpts`) and is searched there.

Invariants
    L1  A search gives as many as were asked for, or all that there are.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

import faiss
import numpy as np

if TYPE_CHECKING:
    from collections.abc import Iterator

    from numpy.typing import NDArray

    from convexlab.followers.vector.selecting import Selection
    from convexlab.followers.versions import Buffer, Slots

    Vectors = NDArray[np.float32]
    Scores = NDArray[np.float32]

# How many documents were asked for where the number of probes was measured.
MEASURED_LIMITS: Final = (10, 100)
# What passes a filter is spread as if by chance up to so much of chance's variance; then
# this share of what is compared without a filter finds as many of the nearest.
_BY_CHANCE: Final = 2.0
_SHARE_BY_CHANCE: Final = 0.85
# Elsewhere the first round has this share of it, and the last is the one that brings at
# most so few of the nearest, or that ends beyond so many times as many. Measured with
# filters equal to clusters, parts of them and half-spaces: recall 0.958 or more.
_SHARE_ELSEWHERE: Final = 0.6
_HARDLY: Final = 0.1
_MOST_ELSEWHERE: Final = 4


class Lists:
    """See the module.

    Args:
        index: an inverted file of FAISS's, trained.
        probes: how many lists a search for so many (`MEASURED_LIMITS`) goes through.

    Attributes:
        homes: each slot's list.
    """

    def __init__(self, index: faiss.IndexIVF, probes: tuple[int, int] = (1, 1)) -> None:
        self.index = index
        self.probes = probes
        self.homes = np.zeros(0, np.int32)
        # How FAISS is asked for all, by how many lists: nobody changes these.
        self._asking: dict[int, faiss.SearchParametersIVF] = {}
        # What FAISS does not have itself: it must not go before the index.
        self._under: NDArray[np.uint8] | None = None

    @classmethod
    def exact(cls, dimensions: int) -> Lists:
        """One list, whose centre is the origin."""
        centre, metric = _origin(dimensions), faiss.METRIC_INNER_PRODUCT
        index = faiss.IndexIVFFlat(centre, dimensions, 1, metric)
        index.is_trained = True
        return cls(index)

    @property
    def count(self) -> int:
        """How many lists."""
        return int(self.index.nlist)

    @property
    def size(self) -> int:
        """How many vectors."""
        return int(self.index.ntotal)

    @property
    def memory_bytes(self) -> int:
        """About what it takes in memory: each vector's numbers and its slot, twice."""
        return self.size * (int(self.index.code_size) + 8 + 4)

    @property
    def sizes(self) -> Slots:
        """How many vectors each list has."""
        held = self.index.invlists
        sizes = map(held.list_size, range(self.count))
        return np.fromiter(sizes, np.int64, self.count)

    def compared(self, limit: int = MEASURED_LIMITS[0]) -> int:
        """How many vectors a search without a filter looks at, centres among them."""
        return self.count + self._probes_for(limit) * self.size // self.count

    # -- changes --------------------------------------------------------------------

    def add(self, slots: Slots, vectors: Vectors) -> None:
        """Take in vectors."""
        if not len(slots):
            return
        homes = self._homes_of(vectors)
        self.index.add_core(
            len(slots),
            faiss.swig_ptr(np.ascontiguousarray(vectors)),
            faiss.swig_ptr(np.ascontiguousarray(slots, np.int64)),
            faiss.swig_ptr(homes),
        )
        self._settle(slots, homes)

    def _homes_of(self, vectors: Vectors) -> NDArray[np.int64]:
        faiss.omp_set_num_threads(1)
        _, nearest = self.index.quantizer.search(vectors, 1)
        return np.ascontiguousarray(nearest[:, 0])

    def fill(self, slots: Slots, vectors: Vectors) -> None:
        """Take in all that empty lists are to have: each gets room for just its own."""
        parts = range(0, len(slots), _SLICE)
        homes = [self._homes_of(vectors[at : at + _SLICE]) for at in parts]
        if not homes:
            return
        home = np.concatenate(homes)
        order = np.argsort(home, kind="stable")
        ends = np.cumsum(np.bincount(home, minlength=self.count))
        for number, members in enumerate(np.split(order, ends[:-1])):
            if len(members):
                codes, ids = self._codes_of(vectors[members]), slots[members]
                self.index.invlists.add_entries(
                    number, len(ids), faiss.swig_ptr(ids), faiss.swig_ptr(codes)
                )
        self.index.ntotal = len(slots)
        self._settle(slots, home)

    def _codes_of(self, vectors: Vectors) -> NDArray[np.uint8]:
        if isinstance(self.index, faiss.IndexIVFFlat):
            return vectors.view(np.uint8)
        codes: NDArray[np.uint8] = self.index.sq.compute_codes(vectors)
        return codes

    def as_kept(self, vectors: Vectors) -> Vectors:
        """What is left of vectors in the lists."""
        return self._vectors_of(self._codes_of(vectors))

    def _vectors_of(self, codes: NDArray[np.uint8]) -> Vectors:
        if isinstance(self.index, faiss.IndexIVFFlat):
            return codes.view(np.float32)
        vectors: Vectors = self.index.sq.decode(codes)
        return vectors

    def _settle(self, slots: Slots, homes: NDArray[np.int64]) -> None:
        room = int(slots.max()) + 1
        if room > len(self.homes):
            grown = np.zeros(max(room, 2 * len(self.homes)), np.int32)
            grown[: len(self.homes)] = self.homes
            self.homes = grown
        self.homes[slots] = homes

    def remove(self, slots: Slots) -> None:
        """Let go of vectors; those that are not here are ignored."""
        if len(slots):
            self.index.remove_ids(
                faiss.IDSelectorBatch(np.ascontiguousarray(slots, np.int64))
            )

    # -- searches -------------------------------------------------------------------

    def nearest(
        self, vector: Vectors, limit: int, among: Selection | None
    ) -> tuple[Slots, Scores]:
        """The nearest to a unit vector, of nearly all."""
        (found,) = self.nearest_to_each(vector[None], limit, among)
        return found

    def nearest_to_each(
        self, vectors: Vectors, limit: int, among: Selection | None
    ) -> list[tuple[Slots, Scores]]:
        """As `nearest`, to each of several."""
        limit = min(limit, self.size if among is None else among.count)
        if not limit:
            return [_NOTHING] * len(vectors)
        parameters = self.parameters(limit, among)
        slots, scores = _search(self.index, vectors, limit, parameters)
        # N.B. of one NumPy looks at a column more slowly than Python does.
        return [
            (row, nearness)
            if row[-1] >= 0  # L1
            else self._search(self.index, vector, limit, self.count, among)
            for vector, row, nearness in zip(vectors, slots, scores, strict=True)
        ]

    def _search(
        self,
        index: faiss.IndexIVF,
        vector: Vectors,
        limit: int,
        probes: int,
        among: Selection | None,
    ) -> tuple[Slots, Scores]:
        parameters = self._parameters(probes, among)
        slots, scores = _search(index, vector[None], limit, parameters)
        if slots[0, -1] < 0:  # L1
            parameters = self._parameters(self.count, among)
            slots, scores = _search(index, vector[None], limit, parameters)
        return slots[0], scores[0]

    def parameters(
        self, limit: int, among: Selection | None
    ) -> faiss.SearchParametersIVF:
        """What FAISS is told of a search for so many, of nearly all."""
        return self._parameters(self._probes_for(limit), among)

    def _parameters(
        self, probes: int, among: Selection | None
    ) -> faiss.SearchParametersIVF:
        if among is not None:
            return faiss.SearchParametersIVF(nprobe=probes, **_only(among))
        made = self._asking.get(probes)
        if made is None:
            made = self._asking[probes] = faiss.SearchParametersIVF(nprobe=probes)
        return made

    def nearest_of(
        self, vector: Vectors, limit: int, among: Selection
    ) -> tuple[Slots, Scores]:
        """The nearest to a unit vector, of some, be they few."""
        limit = min(limit, among.count)
        if not limit:
            return _NOTHING
        copied = among.excerpt
        index = self.index if copied is None or not copied.is_whole else copied.index
        if index.nlist == 1:
            return _search_lists(index, vector, limit, among, _ONE_LIST)
        enough = max(limit, self._probes_for(limit) * self.size // self.count)
        if among.count <= enough:  # all of them: in whatever order
            lists = np.flatnonzero(among.members)
            where = np.zeros(len(lists), np.float32), lists
            return _search_lists(index, vector, limit, among, where)
        if among.unevenness < _BY_CHANCE:
            wanted = _SHARE_BY_CHANCE * enough * self.count / among.count
            probes = min(self.count, int(wanted) + 1)
            return self._search(index, vector, limit, probes, among)
        return self._by_rounds(index, vector, limit, enough, among)

    def _by_rounds(
        self,
        index: faiss.IndexIVF,
        vector: Vectors,
        limit: int,
        enough: int,
        among: Selection,
    ) -> tuple[Slots, Scores]:
        found = _NOTHING
        for where in self._rounds(vector, limit, enough, among):
            more = _search_lists(index, vector, limit, among, where)
            before, (found, newcomers) = found, _nearest_of_both(found, more, limit)
            if len(before[0]) and newcomers <= _HARDLY * limit:
                break
        return found

    def _rounds(
        self, vector: Vectors, limit: int, enough: int, among: Selection
    ) -> Iterator[tuple[Scores, Slots]]:
        """The lists that have some of a selection, the nearest first.

        Each round has as many of the selection in it as all before: the caller ends with
        the first that finds hardly anything nearer.
        """
        lists = np.flatnonzero(among.members)
        nearness = self._nearness(vector)[lists]
        order = np.argsort(-nearness)
        lists, nearness = lists[order], nearness[order]
        compared = np.cumsum(among.members[lists])
        start, goal = 0, max(limit, _SHARE_ELSEWHERE * enough)
        most = _MOST_ELSEWHERE * enough
        while start < len(lists) and (not start or compared[start - 1] < most):
            stop = max(start, int(np.searchsorted(compared, goal))) + 1
            yield nearness[start:stop], lists[start:stop]
            start, goal = stop, 2 * goal

    def _nearness(self, vector: Vectors) -> Scores:
        """Of each list's centre."""
        found = np.empty(self.count, np.float32)
        centres = faiss.downcast_index(self.index.quantizer)
        faiss.fvec_inner_products_ny(
            faiss.swig_ptr(found),
            faiss.swig_ptr(vector),
            centres.get_xb(),
            self.index.d,
            self.count,
        )
        return found

    def _probes_for(self, limit: int) -> int:
        """As measured; for more documents than that, proportionally more."""
        few, many = MEASURED_LIMITS
        if limit <= few:
            return self.probes[0]
        more = max(1.0, limit / many)
        return min(self.count, int(self.probes[1] * more))

    # -- all of them ------------------------------------------------------------------

    def all(self) -> tuple[Slots, Vectors]:
        """Every slot and its vector, copied; of int8 what is left of it."""
        slots = np.empty(self.size, np.int64)
        vectors = np.empty((self.size, self.index.d), np.float32)
        start = 0
        for number in range(self.count):
            here = slice(start, start + int(self.index.invlists.list_size(number)))
            if here.stop > here.start:
                slots[here], codes = self.entries(number)
                vectors[here] = self._vectors_of(codes)
            start = here.stop
        return slots, vectors

    def entries(self, number: int) -> tuple[Slots, NDArray[np.uint8]]:
        """A list's slots and codes, where FAISS has them: not beyond the next change."""
        held, count = self.index.invlists, int(self.index.invlists.list_size(number))
        size = int(self.index.code_size)
        if not count:
            return np.zeros(0, np.int64), np.zeros((0, size), np.uint8)
        codes = faiss.rev_swig_ptr(held.get_codes(number), count * size)
        return faiss.rev_swig_ptr(held.get_ids(number), count), codes.reshape(-1, size)

    def emptied(self, *, one: bool) -> faiss.IndexIVF:
        """An inverted file with the same centres and none of the vectors.

        Args:
            one: with one list instead, whose centre is the origin.
        """
        dimensions, whole = self.index.d, self.index
        centres = _origin(dimensions) if one else whole.quantizer
        count, metric = 1 if one else self.count, faiss.METRIC_INNER_PRODUCT
        if isinstance(whole, faiss.IndexIVFFlat):
            made = faiss.IndexIVFFlat(centres, dimensions, count, metric)
        else:
            made = faiss.IndexIVFScalarQuantizer(
                centres, dimensions, count, whole.sq.qtype, metric, False
            )
            made.sq = whole.sq
        made.is_trained = True
        return made

    # -- at rest ------------------------------------------------------------------------

    def to_bytes(self) -> tuple[bytes, NDArray[np.uint8]]:
        """The homes, and the index in FAISS's format."""
        return self.homes.tobytes(), faiss.serialize_index(self.index)

    @classmethod
    def from_bytes(cls, homes: bytes, index: bytes, probes: tuple[int, int]) -> Lists:
        """What `to_bytes` gave."""
        made = cls(faiss.deserialize_index(np.frombuffer(index, np.uint8)), probes)
        made.homes = np.frombuffer(homes, np.int32).copy()
        return made

    @classmethod
    def over(cls, homes: Buffer, index: Buffer, probes: tuple[int, int]) -> Lists:
        """The same, of which nothing is copied, and which does not change."""
        codes = np.frombuffer(index, np.uint8)
        reader = faiss.ZeroCopyIOReader(faiss.swig_ptr(codes), len(codes))
        made = cls(faiss.read_index(reader), probes)
        made.homes = np.frombuffer(homes, np.int32)
        made._under = codes
        return made


# Vectors whose lists are looked for at a time.
_SLICE: Final = 20_000
_NOTHING: Final = (np.zeros(0, np.int64), np.zeros(0, np.float32))
# How near it is, and which.
_ONE_LIST: Final = (np.zeros(1, np.float32), np.zeros(1, np.int64))


def _origin(dimensions: int) -> faiss.IndexFlatIP:
    centre = faiss.IndexFlatIP(dimensions)
    centre.add(np.zeros((1, dimensions), np.float32))
    return centre


def _search(
    index: faiss.IndexIVF, vectors: Vectors, limit: int, parameters: Any
) -> tuple[Slots, Scores]:
    """The nearest to each vector, a row of slots and one of scores; -1: none.

    N.B. FAISS's own wrapper of this takes 10 µs longer, for looking at what it is given.
    """
    faiss.omp_set_num_threads(1)
    shape = len(vectors), limit
    slots, scores = np.empty(shape, np.int64), np.empty(shape, np.float32)
    index.search_c(
        len(vectors),
        faiss.swig_ptr(vectors),
        limit,
        faiss.swig_ptr(scores),
        faiss.swig_ptr(slots),
        parameters,
    )
    return slots, scores


def _search_lists(
    index: faiss.IndexIVF,
    vector: Vectors,
    limit: int,
    among: Selection,
    where: tuple[Scores, Slots],
) -> tuple[Slots, Scores]:
    """The nearest in some lists, of which is told how near each lies; -1: none."""
    distances, lists = where
    faiss.omp_set_num_threads(1)
    parameters = faiss.SearchParametersIVF(nprobe=len(lists), **_only(among))
    slots, scores = np.empty(limit, np.int64), np.empty(limit, np.float32)
    # N.B. FAISS's own wrapper of this takes no parameters.
    index.search_preassigned_c(
        1,
        faiss.swig_ptr(vector),
        limit,
        faiss.swig_ptr(lists),
        faiss.swig_ptr(distances),
        faiss.swig_ptr(scores),
        faiss.swig_ptr(slots),
        False,  # slots, not places in lists
        parameters,
    )
    return slots, scores


def _nearest_of_both(
    one: tuple[Slots, Scores], other: tuple[Slots, Scores], limit: int
) -> tuple[tuple[Slots, Scores], int]:
    """The nearest, and how many of them the other has."""
    slots = np.concatenate((one[0], other[0]))
    scores = np.concatenate((one[1], other[1]))
    best = np.argsort(-scores, kind="stable")[:limit]
    return (slots[best], scores[best]), int((best >= len(one[0])).sum())


def _only(among: Selection | None) -> dict[str, Any]:
    """The selector of a selection's slots."""
    return {} if among is None else {"sel": faiss.IDSelectorBitmap(among.bits)}
