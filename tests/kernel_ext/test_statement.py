"""A long answer on the page: what it is told, what it may ask, what the notebook keeps."""

from __future__ import annotations

import json

import pytest

from convexlab import knobs
from convexlab.errors import InvalidQuery, NotAllowed
from convexlab_kernel.endpoint import Endpoint
from convexlab_kernel.statement import VERSION, Statement
from convexlab_kernel.views import MIME

TEXT = "select n, n % ? as k from points order by n desc"
COUNT = "SELECT count(*) AS n FROM rows"


@pytest.fixture
def points(db):
    db.table("points").insert([{"n": n} for n in range(50)], progress=False)
    return db


def shown(rows):
    """An output, and the page's part of it."""
    data, _ = rows._repr_mimebundle_()
    return data, data.get(MIME)


def test_a_long_answer_is_read_on_the_page_as_of_its_moment(points):
    """The notebook keeps the first rows, and the statement."""
    rows = points.sql(TEXT, params=[3])
    data, told = shown(rows)
    assert "showing 20 of 50 rows" in data["text/html"]
    of = told["view"]["of"]
    assert (told["path"], of["sql"], of["params"]) == (VERSION, TEXT, [3])
    points.table("points").insert({"n": 50})
    backend = Statement(
        points, json.dumps({"sql": TEXT, "params": [3]}).encode()
    ).backend
    asked = {"what": "sql", "sql": COUNT, "params": [], "of": {**of}}
    assert json.loads(backend.answer(asked, b"")) == [{"n": 50}]


def test_only_the_first_rows_come_until_python_asks_for_all(points, monkeypatch):
    """The page reads the others itself; all come once, as of when the first ones did."""
    monkeypatch.setattr(knobs, "SQL_FIRST_ROWS", 30)
    asked = []
    answer = Endpoint.answer

    def noted(self, path, body, **how):
        asked.append(json.loads(body).keys() - {"sql", "params"})
        return answer(self, path, body, **how)

    monkeypatch.setattr(Endpoint, "answer", noted)
    rows = points.sql("select n from points order by n desc")
    points.table("points").insert({"n": 50}, progress=False)
    asked.clear()
    data, told = shown(rows)
    assert "showing 20 of 50 rows" in data["text/html"]
    assert told["view"]["of"]["ts"]
    assert rows
    assert asked == [{"of", "format", "ts"}], "how many there are"
    assert (len(rows), rows[0]["n"], rows.df()["n"].tolist()[:2]) == (50, 49, [49, 48])
    assert "showing 20 of 50 rows" in repr(rows)
    assert asked[1:] == [{"ts"}], "all of them"


def test_a_short_answer_is_all_in_the_notebook(points):
    """Nothing of it is read later: it can be read for ever."""
    data, told = shown(points.sql("select n from points limit 20"))
    assert told is None
    assert "20 rows" in data["text/plain"]
    assert shown(points.sql("summarize points"))[1] is None


def test_a_live_answer_is_read_on_the_page_as_it_is_now(points):
    """In Python it has all rows, which are followed once they are asked for."""
    live = points.sql(TEXT, params=[3]).watch()
    data, told = shown(live)
    assert told["view"] == {"kind": "stored", "table": "rows", "of": told["args"]}
    assert "showing 20 of 50 rows" in data["text/html"]
    points.table("points").insert({"n": 50})
    live.wait_for(lambda rows: len(rows) == 51)
    assert live.df()["n"].tolist()[:2] == [50, 49]
    asked = {"what": "sql", "sql": COUNT, "params": [], "of": dict(told["args"])}
    assert json.loads(live.backend.answer(asked, b"")) == [{"n": 51}]
    # It may read these rows, and no others.
    other = {"sql": "select * from points", "params": []}
    with pytest.raises(NotAllowed, match="these rows"):
        live.backend.answer({**asked, "of": other}, b"")
    with pytest.raises(NotAllowed, match="SQL"):
        live.backend.answer({**asked, "of": None}, b"")
    past = live.history(60)
    assert past.view["back"] == 60
    assert past.view["kind"] == "stored"
    assert live.table(columns=["n"]).view == {"kind": "table", "columns": ["n"]}
    live.close()


def test_a_statement_that_cannot_be_run_says_so_in_its_place(points):
    live = points.sql("select n from points").watch()
    points.table("points").drop()
    data, _ = shown(live)
    assert "no table `points`" in data["text/html"]
    live.close()


def test_a_summary_is_followed_as_it_is(points):
    """It has few rows, which no window is over."""
    live = points.sql("summarize points").watch()
    assert live.wait_for(lambda rows: len(rows) == 3)
    assert shown(live)[1]["path"] == "_system/sql/rows:default"
    live.close()
    asked = {"sql": COUNT, "format": "json", "of": {"sql": "summarize points"}}
    body = json.dumps(asked).encode()
    with pytest.raises(InvalidQuery, match="SUMMARIZE gives few rows"):
        points.attachment.post("/api/convexlab/sql", body)
