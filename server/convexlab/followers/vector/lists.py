"""Lists: the vectors, in FAISS's inverted lists, and the nearest of them.

One list while they are few: then every one is compared, and the answer is exact. Many
when they are many (`building`): then a search compares those of the lists whose
centres are nearest. Either way vectors come and go one by one, each under its slot.

A filter leaves some slots of all lists. A search through one goes through the lists
that have any of those, the nearest first, until it has compared as many as a search
without a filter would; so a filter that few pass is answered exactly, and none that
passes is missed because it lies far from all others.

Invariants
    L1  A search gives as many as were asked for, or all that there are.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

import faiss
import numpy as np

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from convexlab.followers.versions import Mask, Slots

    Vectors = NDArray[np.float32]
    Scores = NDArray[np.float32]

# How many documents were asked for where the number of probes was measured.
MEASURED_LIMITS: Final = (10, 100)


class Lists:
    """See the module.

    Args:
        index: an inverted file of FAISS's, trained.
        probes: how many lists a search for so many (`MEASURED_LIMITS`) goes through.
    """

    def __init__(self, index: faiss.IndexIVF, probes: tuple[int, int] = (1, 1)) -> None:
        self.index = index
        self.probes = probes
        self._homes = np.zeros(0, np.int32)  # each slot's list

    @classmethod
    def exact(cls, dimensions: int) -> Lists:
        """One list, whose centre is the origin."""
        centre = faiss.IndexFlatIP(dimensions)
        centre.add(np.zeros((1, dimensions), np.float32))
        index = faiss.IndexIVFFlat(centre, dimensions, 1, faiss.METRIC_INNER_PRODUCT)
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

    # -- changes --------------------------------------------------------------------

    def add(self, slots: Slots, vectors: Vectors) -> None:
        """Take in vectors."""
        if not len(slots):
            return
        faiss.omp_set_num_threads(1)
        _, nearest = self.index.quantizer.search(vectors, 1)
        homes = np.ascontiguousarray(nearest[:, 0])
        self.index.add_core(
            len(slots),
            faiss.swig_ptr(np.ascontiguousarray(vectors)),
            faiss.swig_ptr(np.ascontiguousarray(slots, np.int64)),
            faiss.swig_ptr(homes),
        )
        self._settle(slots, homes)

    def _settle(self, slots: Slots, homes: NDArray[np.int64]) -> None:
        room = int(slots.max()) + 1
        if room > len(self._homes):
            grown = np.zeros(max(room, 2 * len(self._homes)), np.int32)
            grown[: len(self._homes)] = self._homes
            self._homes = grown
        self._homes[slots] = homes

    def remove(self, slots: Slots) -> None:
        """Let go of vectors; those that are not here are ignored."""
        if len(slots):
            self.index.remove_ids(
                faiss.IDSelectorBatch(np.ascontiguousarray(slots, np.int64))
            )

    # -- searches -------------------------------------------------------------------

    def nearest(
        self, vector: Vectors, limit: int, mask: Mask | None
    ) -> tuple[Slots, Scores]:
        """The nearest to a unit vector, of those that a mask of nearly all leaves."""
        count = self.size if mask is None else int(mask.sum())
        limit = min(limit, count)
        if not limit:
            return _NOTHING
        parameters = faiss.SearchParametersIVF(
            nprobe=self._probes_for(limit), **_only(mask)
        )
        faiss.omp_set_num_threads(1)
        scores, slots = self.index.search(vector[None], limit, params=parameters)
        if slots[0, -1] < 0:  # L1
            parameters.nprobe = self.count
            scores, slots = self.index.search(vector[None], limit, params=parameters)
        return slots[0], scores[0]

    def nearest_of(
        self, vector: Vectors, limit: int, mask: Mask
    ) -> tuple[Slots, Scores]:
        """The nearest to a unit vector, of those that a mask leaves, be they few."""
        wanted = np.flatnonzero(mask)
        limit = min(limit, len(wanted))
        if not limit:
            return _NOTHING
        faiss.omp_set_num_threads(1)
        distances, lists = self._lists_with(vector, wanted, limit)
        parameters = faiss.SearchParametersIVF(nprobe=len(lists), **_only(mask))
        slots, scores = np.empty(limit, np.int64), np.empty(limit, np.float32)
        # N.B. FAISS's own wrapper of this takes no parameters.
        self.index.search_preassigned_c(
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

    def _lists_with(
        self, vector: Vectors, wanted: Slots, limit: int
    ) -> tuple[Scores, Slots]:
        """The nearest lists that have some of the wanted slots, until it is enough."""
        members = np.bincount(self._homes[wanted], minlength=self.count)
        lists = np.flatnonzero(members)
        nearness = self._nearness(vector)[lists]
        order = np.argsort(-nearness)
        lists = lists[order]
        usual = self._probes_for(limit) * self.size / self.count
        compared = np.cumsum(members[lists])
        enough = int(np.searchsorted(compared, max(usual, limit))) + 1
        return nearness[order][:enough], lists[:enough]

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
                slots[here], vectors[here] = self._list(number)
            start = here.stop
        return slots, vectors

    def _list(self, number: int) -> tuple[Slots, Vectors]:
        held, count = self.index.invlists, int(self.index.invlists.list_size(number))
        size = int(self.index.code_size)
        codes = faiss.rev_swig_ptr(held.get_codes(number), count * size)
        codes = codes.reshape(count, size)
        vectors = (
            codes.view(np.float32)
            if isinstance(self.index, faiss.IndexIVFFlat)
            else self.index.sq.decode(codes)
        )
        return faiss.rev_swig_ptr(held.get_ids(number), count), vectors

    # -- at rest ------------------------------------------------------------------------

    def to_bytes(self) -> tuple[bytes, NDArray[np.uint8]]:
        """The homes, and the index in FAISS's format."""
        return self._homes.tobytes(), faiss.serialize_index(self.index)

    @classmethod
    def from_bytes(cls, homes: bytes, index: bytes, probes: tuple[int, int]) -> Lists:
        """What `to_bytes` gave."""
        made = cls(faiss.deserialize_index(np.frombuffer(index, np.uint8)), probes)
        made._homes = np.frombuffer(homes, np.int32).copy()
        return made


_NOTHING: Final = (np.zeros(0, np.int64), np.zeros(0, np.float32))


def _only(mask: Mask | None) -> dict[str, Any]:
    """The selector of a mask's slots."""
    if mask is None:
        return {}
    bits = np.packbits(mask, bitorder="little")
    return {"sel": faiss.IDSelectorBitmap(bits)}
