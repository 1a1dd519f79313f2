"""`db.sql` and frames of whole tables, on a real deployment."""

from __future__ import annotations

from datetime import timedelta

import pytest
from tests.kernel_ext.conftest import deploy

from convexlab.documents.value import Int64
from convexlab.errors import (
    FollowerBehind,
    InvalidArguments,
    InvalidQuery,
    NotAllowed,
    NotFound,
)
from convexlab_kernel.card import Card
from convexlab_kernel.client import Database
from convexlab_kernel.sql import once_it_is_there
from convexlab_kernel.status import FollowerStatus
from convexlab_kernel.views import MIME

TRIPS = [
    {"carrier": "AA", "delay": 5, "speed": 1.5, "tags": ["late"]},
    {"carrier": "AA", "delay": -2, "speed": 2.0},
    {"carrier": "UA", "delay": 11, "at": {"lat": 1.5}, "big": Int64(2**60)},
]


@pytest.fixture
def trips(db):
    db.table("trips").insert(TRIPS, progress=False)
    return db


def test_a_statement_is_rows_and_frames(trips):
    text = (
        "select carrier, count(*) n, max(delay) worst from trips group by 1 order by 1"
    )
    rows = trips.sql(text)
    assert list(rows) == [
        {"carrier": "AA", "n": 2, "worst": 5},
        {"carrier": "UA", "n": 1, "worst": 11},
    ]
    assert (len(rows), rows[0]["n"]) == (2, 2)
    assert rows.df()["worst"].tolist() == [5, 11]
    assert rows.polars()["carrier"].to_list() == ["AA", "UA"]
    assert rows.arrow().column_names == ["carrier", "n", "worst"]
    assert "2 rows" in repr(rows)
    assert "<table" in rows._repr_html_()


def test_the_card_shows_the_mirror_once_it_is_there(trips):
    trips.sql("select 1 as one")  # it is there from now on
    followers = trips.status().followers
    (columnar,) = [each for each in followers if each.name == "columnar"]
    assert (columnar.name, columnar.documents, columnar.failure) == (
        "columnar",
        3,
        None,
    )
    assert "columnar index: 3 documents" in repr(Card(trips))
    assert columnar.documents_behind == 0


def test_what_is_behind_or_failed_says_so():
    late = FollowerStatus(
        "text", lag_seconds=1.25, documents_behind=2000, documents=9000
    )
    assert str(late) == "9,000 documents, 1.2 s or 2,000 documents behind"
    begun = FollowerStatus("text", building="notes", building_percent=40)
    assert str(begun) == "is being built (now: table `notes`, 40 %)"
    rebuilt = FollowerStatus("text", documents=3, rebuilt="a byte is another")
    assert str(rebuilt) == (
        "3 documents; made anew, since its files were damaged: a byte is another"
    )
    silent = FollowerStatus("text", lag_seconds=1.5, failure="it does not answer")
    assert str(silent) == "failed: it does not answer, 1.5 s behind"
    failed = FollowerStatus("text", failure="OSError('no space left')")
    assert str(failed) == "failed: OSError('no space left')"


def test_parameters_in_order_or_by_name(trips):
    count = "select count(*) n from trips where carrier = "
    assert trips.sql(count + "?", params=["AA"])[0]["n"] == 2
    assert trips.sql(count + "$who", params={"who": "UA"})[0]["n"] == 1
    with pytest.raises(
        InvalidArguments, match=r"a list for `\?`, or a dict for `\$name`"
    ):
        trips.sql(count + "?", params="AA")


def test_it_sees_what_was_just_written(trips):
    trips.table("trips").insert({"carrier": "DL"})
    assert trips.sql("select count(*) n from trips")[0]["n"] == 4


def test_what_is_wrong_is_told_in_its_words(trips):
    with pytest.raises(InvalidQuery, match="syntax error"):
        trips.sql("selec 1")
    with pytest.raises(NotFound, match=r"no table `nope`. Tables: .*`trips`"):
        trips.sql("select * from nope")


def test_it_needs_the_deployments_key(trips):
    nobody = Database(trips.address, authorization="Bearer x")
    with nobody, pytest.raises(NotAllowed, match="SQL needs the deployment's key"):
        nobody.sql("select 1")


def test_as_of_then(trips):
    trips.sql("select 1 as one")  # the mirror is there from now on
    then = int(trips.status().ts)
    trips.table("trips").insert({"carrier": "DL"})
    count = "select count(*) n from trips"
    assert trips.sql(count)[0]["n"] == 4
    assert trips.at(then).sql(count)[0]["n"] == 3


def test_a_table_is_a_frame_with_its_numbers_and_times(trips):
    frame = trips.table("trips").df()
    assert frame["delay"].tolist() == [5, -2, 11]
    assert str(frame["delay"].dtype) == "int64"
    assert frame["speed"].tolist()[:2] == [1.5, 2.0]
    assert frame["_creationTime"].dt.tz.utcoffset(None) == timedelta(0)
    assert frame["tags"][0].tolist() == ["late"]
    assert trips.table("trips").arrow().num_rows == 3
    assert trips.table("trips").polars().height == 3


def test_values_of_several_kinds_are_values_again(db):
    db.table("mixed").insert(
        [{"x": 1}, {"x": "one"}, {"x": {"y": None}}, {}], progress=False
    )
    cells = db.table("mixed").df()["x"].tolist()
    assert cells[:3] == [1.0, "one", {"y": None}]


def test_a_table_that_is_not_there_says_so(db):
    with pytest.raises(NotFound, match="no table `nope`"):
        db.table("nope").df()


def test_a_file_is_uploaded_with_its_type(db, tmp_path):
    photo = tmp_path / "photo.png"
    photo.write_bytes(b"not really" * 200_000)
    storage_id = db.upload(photo)
    (found,) = db.query(
        "_system/cli/tableData",
        table="_storage",
        paginationOpts={"numItems": 5, "cursor": None},
    )["page"]
    assert found["_id"] == storage_id
    assert (found["contentType"], found["size"]) == ("image/png", 2_000_000)
    with pytest.raises(NotFound, match="There is no file"):
        db.upload(tmp_path / "nothing")


def test_rows_that_stay_current(trips):
    live = trips.sql(
        "select count(*) n from trips where carrier = ?", params=["AA"]
    ).watch()
    live.wait_for(lambda value: value == [{"n": 2}])
    trips.table("trips").insert({"carrier": "AA"})
    live.wait_for(lambda value: value == [{"n": 3}])
    # The page follows and reads it by itself, as its user, who owns the deployment.
    told = live._repr_mimebundle_()[0]
    assert told[MIME]["path"] == "_system/sql/version:default"
    assert "1 row" in told["text/html"]
    # As anything else, it has all of the rows, as the kernel has.
    metric = live.metric("n")._repr_mimebundle_()[0]
    assert metric[MIME]["path"] == "_system/sql/rows:default"
    live.close()


def test_what_was_is_not_followed(trips):
    then = trips.at(int(trips.status().ts)).sql("select 1 as one")
    with pytest.raises(NotAllowed, match="What was does not change"):
        then.watch()


def test_functions_ask_in_sql_too(trips):
    deploy(
        trips,
        report="""
from convexlab import mutation, query

@query
def late(ctx, than: float):
    return ctx.db.sql("select carrier, delay from trips where delay > ? order by 2", params=[than])

@mutation
def note(ctx):
    (row,) = ctx.db.sql("select sum(delay) total from trips")
    return ctx.db.insert("notes", row)
""",
    )
    assert trips.query("report:late", than=4) == [
        {"carrier": "AA", "delay": 5},
        {"carrier": "UA", "delay": 11},
    ]
    trips.mutation("report:note")
    assert trips.sql("select total from notes")[0]["total"] == 14


def test_the_first_statement_waits_for_the_mirror():
    """What is being built is waited for; what failed is told."""
    said = [
        "is being built (now: table `a`). Try again.",
        "is 1.0 s behind. Try again.",
    ]

    def ask():
        if said:
            raise FollowerBehind(f"The columnar index {said.pop()}")
        return b"rows"

    assert once_it_is_there(ask) == b"rows"
    said.append("failed: OSError('disk')")
    with pytest.raises(FollowerBehind, match="disk"):
        once_it_is_there(ask)


def test_sql_of_then_knows_the_tables_of_now(db):
    db.table("before").insert({"n": 1}, progress=False)
    list(db.sql("select n from before"))  # the mirror is there from now on
    then = db.at(timedelta(0))
    renamed = db.table("before").rename("after")
    assert list(then.sql("select n from after")) == [{"n": 1}]
    with pytest.raises(NotFound, match="no table `before`") as told:
        then.sql("select n from before")
    assert "by their names of now" in "".join(told.value.__notes__)
    assert [row["n"] for row in then.table("before").collect()] == [1]
    renamed.drop()
