"""What the follower `text` is asked, and what it says.

N.B. this is read by function processes, which do not load Tantivy or NumPy.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

import msgspec

from convexlab.followers.rested import Rested

if TYPE_CHECKING:
    from convexlab.documents.indexes import SearchIndexDefinition

NAME: Final = "text"
# Of its files, in the deployment's.
FOLDER: Final = "texts"
ID_BYTES: Final = 16


class Definition(msgspec.Struct, frozen=True, array_like=True):
    """What an index is made of; another definition is another index.

    Attributes:
        field: the path of the texts.
        filter_fields: the paths that searches may ask for.
    """

    field: str
    filter_fields: tuple[str, ...] = ()


def definition_of(index: SearchIndexDefinition) -> Definition:
    """What an index of a schema is made of."""
    return Definition(index.search_field, index.filter_fields)


class Unsettled(msgspec.Struct, frozen=True, array_like=True):
    """A document as the asker sees it, where the follower does not know it yet.

    Attributes:
        id: the internal id.
        text: what it says; None: it is not in the index any more.
        created: its creation time.
        keys: of its filter fields' values, in their order.
    """

    id: bytes
    text: str | None = None
    created: float = 0.0
    keys: tuple[bytes, ...] = ()


class TextRequest(msgspec.Struct, frozen=True, array_like=True):
    """A search of one index.

    Attributes:
        table: the table's number.
        index: the index's name.
        definition: as the asker knows it.
        words: as `documents.words.searched_words` gives them.
        limit: how many documents.
        filters: a document must have all of these: the number of a filter field, and
            the key of its value.
        unsettled: what is laid over what the follower knows; it counts as it will when
            it is committed.
    """

    table: int
    index: str
    definition: Definition
    words: tuple[str, ...]
    limit: int
    filters: tuple[tuple[int, bytes], ...] = ()
    unsettled: tuple[Unsettled, ...] = ()


class TextAnswer(msgspec.Struct, frozen=True, array_like=True):
    """The best matches, best first; equal ones newest first, then by id.

    Attributes:
        ids: internal ids, 16 bytes each.
        scores: what each is worth.
        rested: where the asker may look by itself.
    """

    ids: bytes
    scores: list[float]
    rested: Rested | None = None


encode_request: Final = msgspec.msgpack.Encoder().encode
decode_request: Final = msgspec.msgpack.Decoder(TextRequest).decode
encode_answer: Final = msgspec.msgpack.Encoder().encode
decode_answer: Final = msgspec.msgpack.Decoder(TextAnswer).decode
