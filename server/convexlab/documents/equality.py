"""Equality of values: what decides whether a write changes anything."""

from __future__ import annotations

import math
from typing import Any


def values_equal(a: object, b: object) -> bool:
    """Equality as Convex sees it: 1 is 1.0, but neither True nor Int64(1); -0.0 is not 0.0."""
    kind = type(a)
    other = type(b)
    if kind is float or other is float:
        return _same_number(a, b)
    if kind is not other:
        return False
    if kind is dict:
        assert isinstance(a, dict)
        assert isinstance(b, dict)
        if a.keys() != b.keys():
            return False
        return all(values_equal(item, b[name]) for name, item in a.items())
    if kind is list:
        assert isinstance(a, list)
        assert isinstance(b, list)
        return len(a) == len(b) and all(map(values_equal, a, b))
    return a == b


def _same_number(a: Any, b: Any) -> bool:
    """One of them is a float."""
    if type(a) not in (int, float) or type(b) not in (int, float):
        return False
    if a == b:
        return bool(a) or math.copysign(1.0, a) == math.copysign(1.0, b)
    return math.isnan(a) and math.isnan(b)
