"""Conversion: things that are no values but mean one, made plainer one step at a time.

Subclasses, tuples, numpy's scalars and one-dimensional arrays of numbers, enum
members, dataclasses and Pydantic models are taken in; anything else is refused
with the conversion that its owner should choose. Libraries are recognised by
their names, never imported.
"""

from __future__ import annotations

import dataclasses
import enum
from collections.abc import Mapping
from typing import Any, Final

from convexlab.documents.rules import Refusal


def plainer(x: Any) -> object:
    """`x` as a plainer Python object, whose parts may need another step."""
    if isinstance(x, enum.Enum):
        return x.value
    if type(x).__module__ == "numpy":
        return _from_numpy(x)
    if isinstance(x, str):
        return "".join(x)
    if isinstance(x, (int, float)):
        return int.__pos__(x) if isinstance(x, int) else float.__pos__(x)
    if isinstance(x, (bytes, bytearray, memoryview)):
        return bytes(memoryview(x))
    if isinstance(x, (list, tuple)):
        return list(x)
    if isinstance(x, Mapping):
        return dict(x)
    fields = _fields_of(x)
    if fields is not None:
        return fields
    raise Refusal(f"is {named(x)}, which is not a Convex value: {_advice(x)}")


def plain_key(name: object) -> str:
    """A key that is not exactly a `str`, as one."""
    if isinstance(name, enum.Enum) and isinstance(name.value, str):
        return str(name.value)
    if isinstance(name, str):
        return "".join(name)
    raise Refusal(
        f"has a key that is {named(name)}, and keys are strings: convert it with str(…)"
    )


def _from_numpy(x: Any) -> object:
    dimensions = getattr(x, "ndim", None)
    kind = getattr(getattr(x, "dtype", None), "kind", "O")
    if dimensions == 0 and kind in "biufUS":
        return x.item()
    if dimensions == 1 and kind in "biuf":
        return x.tolist()
    if dimensions == 0 and kind == "M":
        raise Refusal(
            "is a numpy.datetime64: store milliseconds, to_ms(aware_datetime)"
        )
    raise Refusal(
        f"is {named(x)}, and of numpy only scalars and one-dimensional arrays of numbers "
        "are taken: convert it with .tolist()"
    )


def _fields_of(x: Any) -> dict[str, Any] | None:
    """The fields of a dataclass or Pydantic instance."""
    kind = type(x)
    if dataclasses.is_dataclass(kind):
        return {
            field.name: getattr(x, field.name) for field in dataclasses.fields(kind)
        }
    if isinstance(getattr(kind, "model_fields", None), dict):
        return {name: getattr(x, name) for name in kind.model_fields}
    return None


_TO_MS: Final = "store milliseconds, to_ms(aware_datetime)"
_LIST: Final = "make it a list, list(…)"
_ADVICE: Final = {
    "Undefined": "leave the field out, or use None",
    "set": "make it a list, sorted(…)",
    "frozenset": "make it a list, sorted(…)",
    "Decimal": "convert it with float(…), or str(…) to keep every digit",
    "Fraction": "convert it with float(…)",
    "UUID": "convert it with str(…)",
    "datetime": _TO_MS,
    "date": f"store text, .isoformat(), or {_TO_MS}",
    "time": "store text, .isoformat()",
    "timedelta": "store a number, for instance .total_seconds() * 1000",
    "Period": "store text, str(…)",
    "NaTType": "leave the field out, or use None",
    "NAType": "leave the field out, or use None",
    "Series": "convert it with .tolist()",
    "DataFrame": 'convert it with .to_dict("records")',
    "complex": "store its .real and .imag",
    "generator": _LIST,
    "range": _LIST,
    "deque": _LIST,
    "dict_keys": _LIST,
    "dict_values": _LIST,
    "PurePath": "convert it with str(…)",
    "type": "give an instance, not the class",
    "coroutine": "await it",
    "function": "call it, or leave it out",
}


def _advice(x: object) -> str:
    for kind in type(x).__mro__:
        if kind.__name__ in _ADVICE:
            return _ADVICE[kind.__name__]
    return "give None, bool, int, float, str, bytes, Int64, or a list or dict of these"


def named(x: object) -> str:
    """What `x` is, with an article: `a datetime.date`."""
    if x is None:
        return "None"
    kind = type(x)
    if kind.__name__ == "Undefined":
        return "UNDEFINED"
    module = kind.__module__.partition(".")[0]
    ours = module in ("builtins", "convexlab", "__main__")
    name = kind.__name__ if ours else f"{module}.{kind.__name__}"
    return f"{'an' if name[0] in 'aeioAEIO' else 'a'} {name}"
