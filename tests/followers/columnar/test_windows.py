"""A long answer is read some rows at a time: of one moment, in one order, bounded."""

from __future__ import annotations

import threading
from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING, Any

import msgspec
import pytest

from convexlab import knobs
from convexlab.documents.encoding import from_stored, to_stored
from convexlab.errors import InvalidQuery, NotFound
from convexlab.followers.columnar import windows
from convexlab.followers.columnar.kept import KeptRows, keep
from convexlab.followers.columnar.mirror import Mirror
from convexlab.followers.columnar.sql import answer_of
from convexlab.followers.columnar.windows import WindowRequest, Windows
from convexlab.followers.following import Following

if TYPE_CHECKING:
    from collections.abc import Iterator

    from convexlab.engine.persistence.contract import Persistence
    from convexlab.followers.columnar.reading import Reading
    from convexlab.followers.columnar.statement import Statement

ROWS = 5_000
COUNT = "select count(*) n from rows"
GROUPS = "select size % 1000 g, count(*) n from messages group by 1"


class Pages:
    """The mirror of a store, whose answers are read by window."""

    def __init__(self, persistence: Persistence) -> None:
        self.seconds = 0.0
        self.advancing = threading.Lock()
        self.windows = Windows(lambda: self.seconds)
        self.mirror = Mirror(
            None, {"window": self.windows.answer}, let_go=self.windows.let_go
        )
        self.following = Following(persistence, self.mirror)

    def __call__(
        self, text: str, *params: Any, of: str, with_: Any = (), at: Any = None
    ) -> Any:
        with self.advancing:
            self.following.advance()
        request = WindowRequest(text, of, stored(params), stored(with_))
        body = b"window\n" + msgspec.msgpack.encode(request)
        told = self.mirror.answer(body, at or self.mirror.watermark)
        return from_stored(answer_of(told).rows)

    @property
    def kept(self) -> list[str]:
        """The names of the tables that hold kept rows."""
        found = self.run(
            "select table_name from duckdb_tables() where database_name = 'kept'"
        )
        return [name for (name,) in found]

    def run(self, text: str) -> list[Any]:
        with self.mirror.reading(self.mirror.watermark) as reading:
            found: list[Any] = reading.connection.cursor().execute(text).fetchall()
            return found


def stored(params: Any) -> str:
    return to_stored(list(params)).decode()


@pytest.fixture
def pages(persistence: Persistence, steps: Any) -> Iterator[Pages]:
    steps(lambda tx: tx.insert_many("messages", [{"size": n} for n in range(ROWS)]))
    pages = Pages(persistence)
    yield pages
    pages.mirror.close()


def test_windows_are_of_the_same_rows_in_the_same_places(pages: Pages):
    """Also of a statement that has no order; sorted ones by their places, where equal."""
    window = "select * exclude (_place) from rows limit 300 offset "
    told = [
        row for at in range(0, 1000, 300) for row in pages(f"{window}{at}", of=GROUPS)
    ]
    assert sorted(row["g"] for row in told) == list(range(1000))
    by_n = (
        "select * exclude (_place) from rows order by n desc, _place limit 600 offset "
    )
    assert [row for at in (0, 600) for row in pages(f"{by_n}{at}", of=GROUPS)] == told
    ordered = f"{GROUPS} order by g desc;"
    (first, second) = pages("select g from rows limit 2 offset 500", of=ordered)
    assert (first["g"], second["g"]) == (499, 498)
    assert len(pages.kept) == 2


def test_a_window_is_filtered_counted_and_profiled(pages: Pages):
    """With parameters of its own beside the statement's."""
    of = "select size, size > $least as large from messages"
    count = "select count(*) n from rows where size < ?"
    assert pages(count, 30, of=of.replace("$least", "?"), with_=[10]) == [{"n": 30}]
    size, large = pages(
        "summarize select size, large from rows where size < 100",
        of=of.replace("$least", "?"),
        with_=[10],
    )
    assert (size["n"], size["high"], large["different"]) == (100, 99, 2)


def test_rows_are_kept_until_their_tables_change(pages: Pages, steps: Any):
    """Of what was they are read as of then, also after what is now was asked for."""
    count = "select count(*) n from rows"
    of = "from messages"
    assert pages(count, of=of) == [{"n": ROWS}]
    then, kept = pages.mirror.watermark, pages.kept
    steps(lambda tx: tx.insert("channels", {"name": "a"}))
    assert pages(count, of=of) == [{"n": ROWS}]
    assert pages.kept == kept, "another table has changed"
    steps(lambda tx: tx.insert("messages", {"size": 1}))
    assert pages(count, of=of) == [{"n": ROWS + 1}]
    assert pages(count, of=of, at=then) == [{"n": ROWS}]
    assert len(pages.kept) == 1


def test_what_is_kept_is_bounded_and_let_go(pages: Pages, monkeypatch: Any):
    """The oldest go first, by room and by time; one that is too large is refused."""
    for n in range(3):
        pages(
            "select 1 as one from rows limit 1", of=f"select size + {n} n from messages"
        )
    assert len(pages.kept) == 3
    monkeypatch.setattr(knobs, "KEPT_ANSWERS_BYTES", ROWS * 8 * 2)
    pages("select 1 as one from rows limit 1", of="select size + 3 n from messages")
    assert len(pages.kept) == 2
    pages.seconds += knobs.KEPT_ANSWER_SECONDS + 1
    pages("select 1 as one from rows limit 1", of="select 1 as one")
    assert len(pages.kept) == 1
    with pytest.raises(InvalidQuery, match=r"too large to be looked at.*Ask for fewer"):
        pages("from rows", of="select size a, size b, size c from messages")
    texts = "select repeat('x', 20) t from messages"
    with pytest.raises(InvalidQuery, match="too large"):
        pages("from rows", of=texts)
    assert len(pages.kept) == 1


def test_what_nobody_asks_about_is_let_go_though_nobody_asks(pages: Pages):
    """Another answer is asked about meanwhile, and stays."""
    pages(COUNT, of="select size from messages")
    pages.seconds += knobs.KEPT_ANSWER_SECONDS
    pages.mirror.let_go()
    assert pages(COUNT, of="from messages") == [{"n": ROWS}]
    assert len(pages.kept) == 2
    pages.seconds += 1
    pages.mirror.let_go()
    assert len(pages.kept) == 1
    pages.seconds += knobs.KEPT_ANSWER_SECONDS
    pages.mirror.let_go()
    assert not pages.kept
    assert pages(COUNT, of="from messages") == [{"n": ROWS}]


def test_a_slow_statement_holds_up_who_asks_about_it_and_nobody_else(
    pages: Pages, monkeypatch: pytest.MonkeyPatch
):
    """Both who ask about it get the rows of one run; it is not let go meanwhile."""
    began, may_go, runs = threading.Event(), threading.Event(), []

    def slow(reading: Reading, statement: Statement, *what: Any) -> KeptRows:
        if "range" in statement.text:
            runs.append(statement.text)
            began.set()
            assert may_go.wait(60)
        return keep(reading, statement, *what)

    monkeypatch.setattr(windows, "keep", slow)
    assert pages(COUNT, of="from messages") == [{"n": ROWS}]
    with ThreadPoolExecutor(2) as pool:
        asked = [pool.submit(pages, COUNT, of="from range(7)") for _ in range(2)]
        try:
            assert began.wait(60)
            assert pages(COUNT, of="select 1 as one") == [{"n": 1}]
            pages.seconds += knobs.KEPT_ANSWER_SECONDS + 1
            pages.mirror.let_go()
            assert not pages.kept
        finally:
            may_go.set()
        assert [each.result(60) for each in asked] == [[{"n": 7}]] * 2
    assert len(runs) == len(pages.kept) == 1


def test_many_answers_are_made_at_once(pages: Pages):
    """Also the first ones, which have no place for their rows yet."""
    with ThreadPoolExecutor(8) as pool:
        asked = [
            pool.submit(pages, COUNT, of=f"from messages where size < {n % 4}")
            for n in range(16)
        ]
        assert [each.result(60)[0]["n"] for each in asked] == [0, 1, 2, 3] * 4
    assert len(pages.kept) == 4


def test_a_mirror_that_was_made_anew_is_asked_again(pages: Pages):
    """It has nothing of what the one before kept."""
    assert pages("select count(*) n from rows", of="from messages") == [{"n": ROWS}]
    (name,) = pages.kept
    pages.run(f"drop table kept.{name}")
    assert pages("select count(*) n from rows", of="from messages") == [{"n": ROWS}]


def test_a_window_reads_these_rows_only_and_says_what_it_cannot(pages: Pages):
    of = "select DATE '2024-02-29' d, INTERVAL 2 HOURS i, [1, 2] l from channels"
    (row,) = pages(
        "select * exclude (_place) from rows", of=of.replace("from channels", "")
    )
    assert row == {"d": "2024-02-29", "i": "02:00:00", "l": [1, 2]}
    with pytest.raises(NotFound, match="no table `messages`"):
        pages("from messages", of="from messages")
    with pytest.raises(NotFound, match="no table `nothing`"):
        pages("from rows", of="from nothing")
    with pytest.raises(InvalidQuery, match="reads only"):
        pages("from rows", of="drop table messages")
    with pytest.raises(InvalidQuery, match="SUMMARIZE gives few rows"):
        pages("from rows", of="summarize messages")
    with pytest.raises(InvalidQuery, match="changes by itself"):
        pages("from rows", of="select now() as n")
    with pytest.raises(InvalidQuery, match="SQL: "):
        pages("from rows", of="select nope from messages")
