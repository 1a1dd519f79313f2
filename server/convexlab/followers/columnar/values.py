"""Values side by side: the kind that holds them all, and they as an array of Arrow's.

A field of a batch of documents is looked at as a whole: its types first, in one go at
the speed of C, and its single values only where these are of several types. Null and
what is missing are None alike; how many documents lack a field is known from their
shapes, of which there are few.
"""

from __future__ import annotations

import math
from collections import Counter
from functools import cached_property
from itertools import accumulate, chain
from operator import itemgetter
from typing import TYPE_CHECKING, Any, Final, TypeAlias

from convexlab.documents.bodies import listed, numbers_of, unpacked
from convexlab.documents.encoding import to_export_json_each
from convexlab.documents.value import Int64
from convexlab.followers.columnar.kinds import (
    NOTHING,
    NUMBER,
    WHOLE,
    Anything,
    Array,
    Kind,
    Nothing,
    Object,
    Scalar,
    join,
    object_of,
)

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

    import numpy as np
    import numpy.typing as npt
    import pyarrow as pa

    from convexlab.documents.packed import Numbers

_SCALARS: Final[dict[type, Kind]] = {
    int: WHOLE,
    float: NUMBER,
    Int64: Scalar("int64"),
    bool: Scalar("boolean"),
    str: Scalar("string"),
    bytes: Scalar("bytes"),
    type(None): NOTHING,
}
NUMBERS: Final = (NUMBER, WHOLE)
_PLAIN: Final = frozenset({type(None), bool, int, float, str})
_NO_FIELDS: Final[dict[str, Any]] = {}

# The binary exponents of numbers, as `math.frexp` has them: the smallest and the largest.
Sizes: TypeAlias = tuple[int, int]
_INFINITE: Final = 2000  # an exponent beyond those of numbers


def kind_of(values: Sequence[Any]) -> Kind:
    """The narrowest kind that holds all of these values."""
    return Values(values).kind


class Values:
    """Some values.

    Args:
        values: None where there is none.
    """

    def __init__(self, values: Sequence[Any]) -> None:
        self._values = values
        self._types = set(map(type, values))
        self._array: tuple[Kind, pa.Array] | None = None  # the last that was made

    def __len__(self) -> int:
        return len(self._values)

    @property
    def nones(self) -> int:
        """How many are none."""
        return self._values.count(None) if type(None) in self._types else 0

    @cached_property
    def kind(self) -> Kind:
        """The narrowest that holds them all."""
        found: Kind = NOTHING
        for of in self._types:
            if of is list:
                found = join(found, Array(self._items.kind))
            elif of is dict:
                found = join(found, self._fields.kind)
            else:
                found = join(found, _SCALARS[of])
        return found

    @cached_property
    def _items(self) -> Values:
        """What is in the arrays."""
        return Values([*chain.from_iterable(self._of(list))])

    @cached_property
    def _fields(self) -> Fields:
        """What is in the objects; what is none has no fields."""
        if self._types == {dict}:
            return Fields(self._values)
        return Fields([v if type(v) is dict else _NO_FIELDS for v in self._values])

    def _of(self, kind: type) -> Iterable[Any]:
        if self._types == {kind}:
            return self._values
        return [value for value in self._values if type(value) is kind]

    # -- as Arrow has them --------------------------------------------------------

    def array(self, kind: Kind) -> pa.Array:
        """Them as an array of a kind that holds them."""
        if self._array is None or self._array[0] != kind:
            self._array = kind, self._made(kind)
        return self._array[1]

    def _made(self, kind: Kind) -> pa.Array:
        import pyarrow as pa

        match kind:
            case Scalar():
                return pa.array(self._values, arrow_type(kind))
            case Array(items):
                lengths = [None if v is None else len(v) for v in self._values]
                offsets = pa.array(_offsets(lengths), pa.int32())
                return pa.ListArray.from_arrays(offsets, self._items.array(items))
            case Object(fields) if fields:
                return pa.StructArray.from_arrays(
                    [self._fields[name].array(of) for name, of in fields.items()],
                    names=list(fields),
                    mask=pa.array(
                        [value is None for value in self._values], pa.bool_()
                    ),
                )
            case Nothing() | Object() | Anything():
                return pa.array(self._json(), pa.binary()).cast(pa.string())

    def _json(self) -> list[bytes | None]:
        """JSON in which every value is told from every other that people would tell."""
        if self._types == {type(None)}:
            return [None] * len(self._values)
        texts = to_export_json_each(self._values)
        if type(None) not in self._types:
            return [*texts]
        return [
            None if value is None else text
            for value, text in zip(self._values, texts, strict=True)
        ]

    # -- what is unusual in them --------------------------------------------------

    @property
    def has_odd(self) -> bool:
        """Whether there are NaN or negative zeros among numbers, if it is numbers."""
        if self.kind != NUMBER:
            return False
        import numpy as np

        floats = self._floats()
        return bool(_has_negative_zero(floats) or np.isnan(floats).any())

    @property
    def is_plain(self) -> bool:
        """Whether they are nulls, booleans, strings, and numbers that JSON can say."""
        if not self._types <= _PLAIN:
            return False
        if float not in self._types:
            return True
        import numpy as np

        floats = self._floats()
        return bool(np.isfinite(floats).all() and not _has_negative_zero(floats))

    @cached_property
    def sizes(self) -> Sizes | None:
        """Those of the numbers, if it is numbers."""
        return sizes_of(self.array(self.kind)) if self.kind in NUMBERS else None

    def _floats(self) -> npt.NDArray[np.float64]:
        """The floats among them, and whole numbers where there is nothing else."""
        import numpy as np

        if self.kind == NUMBER:
            return np.frombuffer(self.array(NUMBER).buffers()[1], np.float64)
        return np.array([*self._of(float)], np.float64)


def values_in(values: Sequence[Any], bodies: Sequence[bytes]) -> Values | Vectors:
    """Values of which lists may be packed, as each body has one."""
    numbers = list(map(numbers_of, values, bodies))
    are_others = any(
        one is None and value is not None
        for one, value in zip(numbers, values, strict=True)
    )
    if are_others or not any(numbers):
        return Values(list(map(unpacked, values, bodies)))
    return Vectors(numbers)


class Vectors:
    """Lists of floats that are packed, which become an array without Python's floats.

    Args:
        numbers: those of each; None where there is none.
    """

    kind: Kind = Array(NUMBER)
    has_odd = False  # as of every array
    is_plain = False
    sizes: Sizes | None = None

    def __init__(self, numbers: Sequence[Numbers | None]) -> None:
        self._numbers = numbers

    @property
    def nones(self) -> int:
        """How many are none."""
        return self._numbers.count(None)

    def array(self, kind: Kind) -> pa.Array:
        """Them as an array of a kind that holds them."""
        if kind != self.kind:
            return Values([one and listed(one) for one in self._numbers]).array(kind)
        return self._array

    @cached_property
    def _array(self) -> pa.Array:
        import numpy as np
        import pyarrow as pa

        there = [np.frombuffer(one.data, one.kind) for one in self._numbers if one]
        items = np.concatenate(there, dtype=np.float64)
        offsets = pa.array(_offsets(_lengths(self._numbers)), pa.int32())
        return pa.ListArray.from_arrays(offsets, pa.array(items))


def _lengths(numbers: Sequence[Numbers | None]) -> list[int | None]:
    return [one and len(one.data) // int(one.kind[-1]) for one in numbers]


def _offsets(lengths: Sequence[int | None]) -> list[int | None]:
    """Where each array begins among all items, and where the last one ends."""
    begins: list[int | None] = [*accumulate((n or 0 for n in lengths), initial=0)]
    if None in lengths:
        for at, length in enumerate(lengths):
            if length is None:
                begins[at] = None
    return begins


def _has_negative_zero(floats: npt.NDArray[np.float64]) -> bool:
    import numpy as np

    # N.B. it is the only number of these bits.
    return bool((floats.view(np.int64) == np.iinfo(np.int64).min).any())


def sizes_of(numbers: pa.Array) -> Sizes | None:
    """Between what sizes an array's numbers lie; None: there are none but zeros and NaN."""
    import numpy as np

    found = np.abs((numbers.drop_null() if numbers.null_count else numbers).to_numpy())
    found = found[found > 0]
    if not len(found):
        return None
    return exponent(found.min()), exponent(found.max())


def exponent(size: float) -> int:
    """The binary exponent of a number."""
    return _INFINITE if math.isinf(size) else math.frexp(size)[1]


class Fields:
    """A batch of documents, or of objects inside of them, by their fields.

    Args:
        documents: decoded; of documents with their system fields.
    """

    def __init__(self, documents: Sequence[Mapping[str, Any]]) -> None:
        self._documents = documents
        self._shapes = Counter(map(tuple, documents))
        self._values: dict[str, Values] = {}

    def __len__(self) -> int:
        return len(self._documents)

    @property
    def names(self) -> list[str]:
        """Every field that one of them has."""
        return [*dict.fromkeys(chain.from_iterable(self._shapes))]

    @property
    def kind(self) -> Kind:
        """The narrowest that holds them all, as objects."""
        return object_of({name: self[name].kind for name in self.names})

    def missing(self, name: str) -> int:
        """How many do not have a field."""
        return sum(count for shape, count in self._shapes.items() if name not in shape)

    def __getitem__(self, name: str) -> Values:
        """A field of each."""
        values = self._values.get(name)
        if values is None:
            values = self._values[name] = Values(self._gathered(name))
        return values

    def _gathered(self, name: str) -> list[Any]:
        # N.B. without a look at what is not there where all have it.
        if all(name in shape for shape in self._shapes):
            return list(map(itemgetter(name), self._documents))
        return [document.get(name) for document in self._documents]


def arrow_type(kind: Scalar) -> pa.DataType:
    """The type of an array of scalars."""
    import pyarrow as pa

    match kind.name:
        case "number":
            return pa.float64()
        case "whole" | "int64":
            return pa.int64()
        case "boolean":
            return pa.bool_()
        case "string":
            return pa.string()
        case "bytes":
            return pa.binary()
