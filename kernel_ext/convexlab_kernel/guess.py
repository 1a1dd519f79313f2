"""A guess at a schema: validators that fit the documents there are.

%convex schema ─▶ a `%%convex schema` cell to start from
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from convexlab.documents.value import Int64

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

SAMPLE = 500
NAMES = {
    bool: "v.boolean()",
    int: "v.number()",
    float: "v.number()",
    Int64: "v.int64()",
    str: "v.string()",
    bytes: "v.bytes()",
    type(None): "v.null()",
}


def schema_cell(tables: Mapping[str, Sequence[Mapping[str, Any]]]) -> str:
    """A schema's cell for these tables' documents."""
    lines = [
        "%%convex schema",
        "from convexlab import define_schema, define_table, v",
        "",
    ]
    lines.append("schema = define_schema({")
    for name, documents in tables.items():
        lines.append(f'    "{name}": define_table({{')
        for field, validator in fields(documents).items():
            if not field.startswith("_"):
                lines.append(f'        "{field}": {validator},')
        lines.append("    }),")
    return "\n".join([*lines, "})"])


def fields(documents: Sequence[Mapping[str, Any]]) -> dict[str, str]:
    """The fields of some objects with a validator each."""
    names = dict.fromkeys(name for document in documents for name in document)
    found = {}
    for name in names:
        values = [document[name] for document in documents if name in document]
        validator = validator_of(values)
        found[name] = (
            validator if len(values) == len(documents) else f"v.optional({validator})"
        )
    return found


def validator_of(values: Sequence[Any]) -> str:
    """A validator that accepts these values."""
    kinds = dict.fromkeys(
        _one_kind(values, kind) for kind in dict.fromkeys(map(type, values))
    )
    if len(kinds) == 2 and "v.null()" in kinds:
        (other,) = (kind for kind in kinds if kind != "v.null()")
        return f"v.nullable({other})"
    if not kinds:
        return "v.any()"
    return next(iter(kinds)) if len(kinds) == 1 else f"v.union({', '.join(kinds)})"


def _one_kind(values: Sequence[Any], kind: type) -> str:
    if kind is list:
        items = [item for value in values if type(value) is list for item in value]
        return f"v.array({validator_of(items)})"
    if kind is dict:
        inner = fields([value for value in values if type(value) is dict])
        if not all(name.isidentifier() for name in inner):
            return "v.record(v.string(), v.any())"
        return "v.object({" + ", ".join(f'"{k}": {v}' for k, v in inner.items()) + "})"
    return NAMES.get(kind, "v.any()")
