"""documents/indexes.py: which fields an index can have something of."""

from __future__ import annotations

import pytest

from convexlab.documents.indexes import may_hold
from convexlab.documents.v import v


@pytest.mark.parametrize(
    ("path", "possible"),
    [("a", True), ("a.b", True), ("o.x", True), ("o.y", False), ("r.any.z", True), ("r.k.y", False),
     ("u.x", True), ("u.z", True), ("u.q", False), ("s.x", False), ("n", False)],
)  # fmt: skip
def test_a_path_is_possible_where_some_document_has_it(path, possible):
    validator = v.object(
        {
            "a": v.any(),
            "o": v.object({"x": v.string()}),
            "r": v.record(v.string(), v.object({"z": v.any()})),
            "u": v.union(v.object({"x": v.any()}), v.object({"z": v.any()}), v.null()),
            "s": v.string(),
        }
    )
    assert may_hold(validator, path.split(".")) is possible
