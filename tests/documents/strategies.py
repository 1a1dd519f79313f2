"""What the laws are tried on: values, names and validators with what fits them."""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING

from hypothesis import strategies as st

from convexlab.documents.ids import encode_id
from convexlab.documents.v import v
from convexlab.documents.value import MAX_EXACT_INT, Int64

if TYPE_CHECKING:
    from convexlab.documents.validator import Validator

TABLES = {"users": 10001, "tasks": 10002}

field_names = st.one_of(
    st.sampled_from(["a", "b", "c", "_x", "", "a b", "a.b"]),
    st.text(st.characters(min_codepoint=0x20, max_codepoint=0x7E), max_size=8),
).filter(lambda name: not name.startswith("$"))

texts = st.one_of(
    st.text(max_size=12),
    st.text(st.sampled_from("\0\1\2a\xff"), max_size=6),
    st.sampled_from(["$", "$integer", '"$bytes"', "é", "😀", "\uffff"]),
)
numbers = st.one_of(
    st.integers(-MAX_EXACT_INT, MAX_EXACT_INT),
    st.integers(-3, 3),
    st.floats(),
    st.sampled_from([0.0, -0.0, 1.0, -1.0, 1e16, 1e300, 5e-324]),
)
int64s = st.one_of(st.integers(-(1 << 63), (1 << 63) - 1), st.integers(-300, 300)).map(
    Int64
)
blobs = st.one_of(
    st.binary(max_size=12), st.lists(st.sampled_from([0, 1, 255])).map(bytes)
)
ids = st.builds(
    encode_id, st.sampled_from([10001, 10002, 540]), st.binary(min_size=16, max_size=16)
)

scalars = st.one_of(st.none(), st.booleans(), numbers, int64s, texts, blobs, ids)
values = st.recursive(
    scalars,
    lambda inner: st.one_of(
        st.lists(inner, max_size=4), st.dictionaries(field_names, inner, max_size=4)
    ),
    max_leaves=12,
)
objects = st.dictionaries(field_names, values, max_size=5)

# Lists of floats about as long as those that the store packs: of few numbers, over and
# over.
vectors = st.builds(
    lambda numbers, length: (numbers * length)[:length],
    st.lists(
        st.one_of(
            st.floats(width=32),
            st.floats(),
            st.sampled_from(
                [0.1, -0.0, 1e-45, 5e-324, 3.4028234663852886e38, 1e39, 1.0]
            ),
        ),
        min_size=1,
        max_size=4,
    ),
    st.integers(60, 70),
)

identifiers = st.sampled_from(["a", "b", "c", "name", "due", "ownerId"])
literals = st.one_of(
    st.booleans(),
    st.integers(-3, 3),
    st.floats(allow_nan=False, allow_infinity=False),
    int64s,
    texts,
).map(v.literal)


def _containers(inner: st.SearchStrategy[Validator]) -> st.SearchStrategy[Validator]:
    fields = st.one_of(inner, inner.map(v.optional))
    return st.one_of(
        inner.map(v.array),
        st.dictionaries(identifiers, fields, max_size=4).map(v.object),
        st.builds(v.record, st.sampled_from([v.string(), v.id("users")]), inner),
        st.lists(inner, max_size=3).map(lambda members: v.union(*members)),
        inner.map(v.nullable),
    )


validators = st.recursive(
    st.one_of(
        st.sampled_from(
            [
                v.null(),
                v.number(),
                v.int64(),
                v.commit_ts(),
                v.boolean(),
                v.string(),
                v.bytes(),
                v.any(),
            ]
        ),
        st.sampled_from([v.id("users"), v.id("tasks"), v.id("nowhere")]),
        literals,
    ),
    _containers,
    max_leaves=6,
)


# By the wire's name of a validator's type.
ATOMS: dict[str, st.SearchStrategy[object]] = {
    "null": st.none(),
    "number": numbers,
    "bigint": int64s,
    "commitTs": int64s,
    "boolean": st.booleans(),
    "string": texts,
    "bytes": blobs,
    "any": values,
}


def fitting(
    validator: Validator, atoms: dict[str, st.SearchStrategy[object]] = ATOMS
) -> st.SearchStrategy[object]:
    """Values that `validator` accepts, said independently of its own judgement.

    Args:
        validator: what they fit.
        atoms: what its smallest parts are.
    """
    inside = partial(fitting, atoms=atoms)
    match validator.json():
        case {"type": "object"}:
            required = {
                n: inside(p) for n, p in validator.fields.items() if not p.is_optional
            }
            optional = {
                n: inside(p) for n, p in validator.fields.items() if p.is_optional
            }
            optional = {n: part for n, part in optional.items() if not part.is_empty}
            return st.fixed_dictionaries(required, optional=optional)
        case {"type": "array"}:
            return _several(st.lists, inside(validator.element))
        case {"type": "record", "keys": {"type": "string"}}:
            return _several(
                partial(st.dictionaries, field_names), inside(validator.value)
            )
        case {"type": "record"}:
            return _several(
                partial(st.dictionaries, inside(validator.key)),
                inside(validator.value),
            )
        case {"type": "union"}:
            return st.one_of([inside(member) for member in validator.members])
        case {"type": "literal"}:
            return st.just(validator.value)
        case {"type": "id", "tableName": table}:
            if table not in TABLES:
                return st.nothing()
            return st.binary(min_size=16, max_size=16).map(
                lambda i: encode_id(TABLES[table], i)
            )
        case {"type": kind}:
            return atoms[kind]
    raise AssertionError(validator)


def _several(container, parts: st.SearchStrategy[object]) -> st.SearchStrategy[object]:
    """Up to three of what nothing may fit."""
    return container(parts, max_size=0 if parts.is_empty else 3)
