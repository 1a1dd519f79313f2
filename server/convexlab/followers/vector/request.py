"""What the follower `vector` is asked, and what it says.

N.B. this is read by function processes, which do not load FAISS or NumPy.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

import msgspec

from convexlab.followers.rested import Rested

if TYPE_CHECKING:
    from convexlab.documents.indexes import VectorIndexDefinition

NAME: Final = "vector"
# Of its files, in the deployment's.
FOLDER: Final = "vectors"
ID_BYTES: Final = 16


class Definition(msgspec.Struct, frozen=True, array_like=True):
    """What an index is made of; another definition is another index.

    Attributes:
        field: the path of the vectors.
        dimensions: how many numbers each has.
        filter_fields: the paths that searches may ask for.
        quantization: how the numbers are kept: None as float32, `int8` in a byte each.
    """

    field: str
    dimensions: int
    filter_fields: tuple[str, ...] = ()
    quantization: str | None = None


def definition_of(index: VectorIndexDefinition) -> Definition:
    """What an index of a schema is made of."""
    return Definition(
        index.vector_field, index.dimensions, index.filter_fields, index.quantization
    )


class VectorRequest(msgspec.Struct, frozen=True, array_like=True):
    """A search of one index, or several that differ in their vectors only.

    Attributes:
        table: the table's number.
        index: the index's name.
        definition: as the asker knows it.
        vector: the numbers, as little-endian float32; of any length but zero. Of several
            searches all vectors, one after another.
        limit: how many documents.
        filters: a document must have one of these: the number of a filter field,
            and the key of its value. None: any document will do.
        searches: how many.
    """

    table: int
    index: str
    definition: Definition
    vector: bytes
    limit: int
    filters: tuple[tuple[int, bytes], ...] | None = None
    searches: int = 1


class VectorAnswer(msgspec.Struct, frozen=True, array_like=True):
    """The nearest documents, nearest first; equally near ones by id.

    Of several searches these are one after another, and as many of each.

    Attributes:
        ids: internal ids, 16 bytes each.
        scores: cosines, as little-endian float32.
        rested: where the asker may look by itself.
    """

    ids: bytes
    scores: bytes
    rested: Rested | None = None


encode_request: Final = msgspec.msgpack.Encoder().encode
decode_request: Final = msgspec.msgpack.Decoder(VectorRequest).decode
encode_answer: Final = msgspec.msgpack.Encoder().encode
decode_answer: Final = msgspec.msgpack.Decoder(VectorAnswer).decode
