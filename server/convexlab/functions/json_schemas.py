"""JSON Schemas: what values look like as JSON, for generators and other databases.

They are made of validators, which say what may be, or of shapes, which say what was
seen (`shapes`), for one of the formats that values are given in:

    json                  Int64 and bytes as text, NaN as "NaN"
    export_json           Int64 as integers; what JSON cannot say as {"$bytes": …}
    convex_encoded_json   Int64 as {"$integer": …} too
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final, TypeAlias

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from convexlab.functions.shapes import Shape

JsonSchema: TypeAlias = dict[str, Any]
FORMATS: Final = ("json", "export_json", "convex_encoded_json")
DRAFT: Final = "http://json-schema.org/draft-07/schema#"
_TEXT: Final[JsonSchema] = {"type": "string"}
_NUMBER: Final[JsonSchema] = {"type": "number"}


def schema_of_validator(validator: Mapping[str, Any], form: str) -> JsonSchema:
    """What a ValidatorJSON takes."""
    match validator["type"]:
        case "literal":
            return _literal(validator["value"], form)
        case "id":
            return _id(validator["tableName"])
        case "array":
            return _array(schema_of_validator(validator["value"], form))
        case "record":
            value = validator["values"]["fieldType"]
            return _record(schema_of_validator(value, form))
        case "object":
            return _object(
                (
                    name,
                    field["optional"],
                    schema_of_validator(field["fieldType"], form),
                )
                for name, field in validator["value"].items()
            )
        case "union":
            return _any_of(
                schema_of_validator(each, form) for each in validator["value"]
            )
        case plain:
            return _plain(_KINDS[plain], form)


def schema_of_shape(shape: Shape, form: str) -> JsonSchema:
    """What has been seen."""
    match shape["type"]:
        case "Id":
            return _id(shape["tableName"])
        case "Array":
            return _array(schema_of_shape(shape["shape"], form))
        case "Record":
            return _record(schema_of_shape(shape["valueShape"]["shape"], form))
        case "Object":
            return _object(
                (
                    field["fieldName"],
                    field["optional"],
                    schema_of_shape(field["shape"], form),
                )
                for field in shape["fields"]
            )
        case "Union":
            return _any_of(schema_of_shape(each, form) for each in shape["shapes"])
        case "Float64" if shape["float64Range"]["hasSpecialValues"]:
            return _any_of([dict(_NUMBER), _special(form)])
        case plain:
            return _plain(plain, form)


# The plain kinds of validators, as shapes call them.
_KINDS: Final = {
    "null": "Null",
    "number": "Float64",
    "bigint": "Int64",
    "commitTs": "Int64",
    "boolean": "Boolean",
    "string": "String",
    "bytes": "Bytes",
    "any": "Unknown",
}


def _plain(kind: str, form: str) -> JsonSchema:
    match kind:
        case "Null":
            return {"type": "null"}
        case "Boolean":
            return {"type": "boolean"}
        case "String":
            return dict(_TEXT)
        case "Float64":
            return dict(_NUMBER)
        case "Int64":
            return _int64(form)
        case "Bytes":
            return dict(_TEXT) if form == "json" else _tagged("$bytes")
        case "Never":
            return {"not": {}}
        case _:
            return {}


def _int64(form: str) -> JsonSchema:
    match form:
        case "json":
            return dict(_TEXT)
        case "export_json":
            return {"type": "integer"}
        case _:
            return _tagged("$integer")


def _special(form: str) -> JsonSchema:
    """Infinities and what is not a number."""
    names = ["NaN", "Infinity", "-Infinity"]
    return {"type": "string", "enum": names} if form == "json" else _tagged("$float")


def _literal(value: Any, form: str) -> JsonSchema:
    if isinstance(value, dict):  # an Int64
        return _int64(form)
    return {"const": value}


def _id(table: str) -> JsonSchema:
    return {"type": "string", "description": f"Id of `{table}`"}


def _array(element: JsonSchema) -> JsonSchema:
    return {"type": "array", "items": element}


def _record(value: JsonSchema) -> JsonSchema:
    return {"type": "object", "additionalProperties": value}


def _tagged(tag: str) -> JsonSchema:
    return _object([(tag, False, dict(_TEXT))])


def _any_of(schemas: Iterable[JsonSchema]) -> JsonSchema:
    unlike: list[JsonSchema] = []
    for schema in schemas:
        if schema not in unlike:
            unlike.append(schema)
    return unlike[0] if len(unlike) == 1 else {"anyOf": unlike}


def _object(fields: Iterable[tuple[str, bool, JsonSchema]]) -> JsonSchema:
    """An object of fields: name, whether it may be missing, and what it is."""
    told = list(fields)
    return {
        "type": "object",
        "properties": {name: schema for name, _, schema in told},
        "required": [name for name, is_optional, _ in told if not is_optional],
        "additionalProperties": False,
    }
