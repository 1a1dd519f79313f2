"""Profiles of columns: exact, and kept so while rows come and go."""

from __future__ import annotations

import math
from functools import partial
from typing import TYPE_CHECKING, Any

import msgspec
import pytest
from hypothesis import given, settings, strategies as st
from tests.followers.columnar.test_folded import Lab

from convexlab.documents.encoding import from_stored, to_stored
from convexlab.errors import InvalidQuery
from convexlab.followers.columnar.counting import Counting
from convexlab.followers.columnar.profiles import Profiles
from convexlab.followers.columnar.sql import SqlRequest, answer_of, answer_sql

if TYPE_CHECKING:
    from collections.abc import Iterator

ALL = "SUMMARIZE t"
SOME = "summarize select k, x from t where x > 1;"

VALUES = st.one_of(
    st.none(),
    st.integers(-3, 3),
    st.floats(allow_nan=False, width=16),
    st.text(max_size=2),
)
DOCUMENTS = st.fixed_dictionaries(
    {},
    optional={
        "k": VALUES,
        "x": st.integers(0, 5),
        "o": st.dictionaries(st.sampled_from("ab"), VALUES),
    },
)
STEPS = st.lists(
    st.tuples(
        st.sampled_from(["insert", "insert", "replace", "delete"]),
        st.integers(0, 99),
        DOCUMENTS,
    ),
    min_size=1,
    max_size=6,
)


class Profiled(Lab):
    """A table, and its columns' profiles."""

    def __init__(self) -> None:
        super().__init__()
        profiled = partial(answer_sql, profiles=Profiles())
        self.mirror._handlers = {"sql": profiled, "anew": answer_sql}

    def ask(self, text: str, *params: Any, kind: str = "sql") -> list[dict[str, Any]]:
        self.following.advance()
        request = SqlRequest(text, to_stored(list(params)).decode())
        body = kind.encode() + b"\n" + msgspec.msgpack.encode(request)
        told = self.mirror.answer(body, self.mirror.watermark)
        rows = from_stored(answer_of(told).rows)
        assert isinstance(rows, list)
        return rows

    def profile(self, text: str, *params: Any) -> dict[str, dict[str, Any]]:
        return {row.pop("name"): row for row in self.ask(text, *params)}


@pytest.fixture
def lab() -> Iterator[Profiled]:
    lab = Profiled()
    yield lab
    lab.mirror.close()


def test_each_column_says_what_is_in_it(lab):
    lab.commit(
        [("insert", 0, {"k": 2, "x": n, "s": "ab"[n % 2]}) for n in range(2, 10)]
    )
    lab.commit([("insert", 0, {"k": 2})])
    told = lab.profile(ALL)
    assert list(told) == ["_id", "_creationTime", "k", "x", "s"]
    assert told["_id"] == {"n": 10, "there": 10, "different": 10, "top": []}
    assert told["k"]["top"] == [{"value": 2, "n": 9}, {"value": 1, "n": 1}]
    assert told["s"] == {
        "n": 10,
        "there": 8,
        "different": 2,
        "top": [{"value": "a", "n": 4}, {"value": "b", "n": 4}],
    }
    x = told["x"]
    assert (x["there"], x["different"], x["low"], x["high"]) == (9, 9, 1.0, 9.0)
    assert (x["from"], x["width"], x["bins"]) == (1.0, 1.0, [1] * 9)


def test_frames_have_the_same(lab):
    import pyarrow as pa

    request = msgspec.msgpack.encode(SqlRequest(ALL, arrow=True))
    told = lab.mirror.answer(b"sql\n" + request, lab.mirror.watermark)
    frame = pa.ipc.open_stream(answer_of(told).rows).read_all()
    assert frame["name"].to_pylist() == ["_id", "_creationTime", "k", "x"]
    assert frame["different"].to_pylist() == [1, 1, 1, 1]
    assert frame["top"].to_pylist()[-1] == '[{"value":1,"n":1}]'
    assert frame.schema.field("top").metadata == {b"convexlab": b"json"}


def test_profiles_of_any_statement(lab):
    lab.commit([("insert", 0, {"k": n % 2, "x": n}) for n in range(5)])
    told = lab.profile("SUMMARIZE SELECT k, sum(x) AS total FROM t GROUP BY k")
    assert told["total"]["different"] == 2
    assert lab.profile("summarize from t where x > ?", 2)["x"]["n"] == 2
    with pytest.raises(InvalidQuery, match="nothing_like_it"):
        lab.ask("SUMMARIZE SELECT nothing_like_it FROM t")
    with pytest.raises(InvalidQuery, match="write one SELECT"):
        lab.ask("SUMMARIZE DELETE FROM t")


@settings(max_examples=15)
@given(st.lists(STEPS, max_size=5))
def test_what_is_kept_says_what_counting_says(runs):
    lab = Profiled()
    for steps in runs:
        lab.commit(steps)
        for text in (ALL, SOME):
            kept, anew = lab.ask(text), lab.ask(text, kind="anew")
            assert _but_bins(kept) == _but_bins(anew)
            assert [_in_bins(row) for row in kept] == [_in_bins(row) for row in anew]
    lab.mirror.close()


def _in_bins(row):
    return sum(row.get("bins", ()))


def test_bins_have_all_but_the_infinite(lab):
    lab.commit([("insert", 0, {"k": 2.5, "x": n}) for n in range(2, 6)])
    lab.commit([("insert", 0, {"k": math.inf})])
    told = lab.profile(ALL)
    assert (told["k"]["there"], _in_bins(told["k"]), told["k"]["high"]) == (6, 5, 2.5)
    assert told["x"]["there"] == _in_bins(told["x"])


def _but_bins(rows):
    """Bins that began narrower or wider are as true."""
    return [
        {
            name: cell
            for name, cell in row.items()
            if name not in {"bins", "from", "width"}
        }
        for row in rows
    ]


def test_a_few_changes_are_counted_by_themselves(lab, monkeypatch):
    lab.commit([("insert", 0, {"k": n % 7, "x": n}) for n in range(150)])
    lab.ask(ALL)
    monkeypatch.delattr(Counting, "whole")
    lab.commit([("insert", 0, {"k": 3, "x": 10_000}), ("replace", 5, {"k": 3, "x": 7})])
    told = lab.profile(ALL)
    assert told["x"]["high"] == 10_000
    assert {"value": 3, "n": 23} in told["k"]["top"]
    assert (told["_id"]["n"], told["x"]["different"]) == (152, 150)
    assert sum(told["x"]["bins"]) == 152
    assert lab.profile(ALL) == told


def test_what_rises_says_what_grouping_it_says(lab, monkeypatch):
    rising, risen = Counting._rising, []

    def noted(counting, rows):
        found = rising(counting, rows)
        risen.append({counting._columns[at].name for at in found})
        return found

    lab.commit(
        [
            (
                "insert",
                0,
                {
                    "up": n,
                    "share": n / 7,
                    "twice": max(n, 1),
                    "down": -n,
                    "gap": None if n == 50 else n,
                },
            )
            for n in range(150)
        ]
    )
    texts = ("SUMMARIZE SELECT * FROM t WHERE up >= 0", "SUMMARIZE FROM t WHERE up < 5")
    monkeypatch.setattr(Counting, "_rising", noted)
    told = [lab.ask(text, kind="anew") for text in texts]
    assert risen == [{"_creationTime", "up", "share"}, set()]
    monkeypatch.setattr(Counting, "_rising", lambda *_: frozenset())
    assert [lab.ask(text, kind="anew") for text in texts] == told
