"""How values look where nothing runs."""

from __future__ import annotations

import re
import secrets

import pytest

from convexlab import knobs
from convexlab_kernel import display

ROWS = [{"_id": "j57", "_creationTime": 1_357_017_300_000.25, "n": 3.0, "s": "<b>"}]


def test_a_table_says_how_much_of_the_whole_it_shows():
    many = [{"n": float(i)} for i in range(50)]
    assert "showing 20 of 50 documents" in display.table_html(many)
    assert "showing 20 of 1,234,567 documents" in display.table_html(
        many, total=1_234_567
    )
    assert "50 documents" in display.shown(50, None)
    assert display.shown(1, 1, "tables") == "1 table"


def test_numbers_look_as_in_javascript_and_times_as_times():
    text = display.table_text(ROWS)
    assert text.splitlines()[1].split() == [
        "j57",
        "3",
        "<b>",
        "2013-01-01",
        "05:15:00.000Z",
    ]
    assert display.plain(0.5) == "0.5"
    assert display.plain(True) == "true"
    assert display.plain([1.0, {"a": None}]) == '[1, {"a": null}]'


def test_a_static_table_is_ordered_and_aligned_as_a_live_one():
    rows = [{"_creationTime": 1.0, "n": 1, "s": "a", "_id": "j", "_score": 1 / 3}]
    page = display.table_html([*rows, {"n": None, "s": "b"}])
    names = re.findall(r"text-align:(\w+)[^>]*>([^<]+)</th>", page)
    assert names == [
        ("left", "_id"),
        ("right", "_score"),
        ("right", "n"),
        ("left", "s"),
        ("left", "_creationTime"),
    ]
    assert "text-align:right;" in page.split("0.3333")[0].rpartition("<td")[2]


def test_html_is_escaped():
    assert "&lt;b&gt;" in display.table_html(ROWS)
    assert "<b>" not in display.value_html({"<b>": "<b>"})


def test_a_table_stays_under_its_bytes():
    wide = [{f"field{n}": "x" * 5_000 for n in range(200)} for _ in range(50)]
    page = display.table_html(wide)
    assert len(page.encode()) < knobs.STATIC_BYTES
    assert "170 more columns" in page


def test_the_same_value_gives_the_same_bytes():
    assert display.value_html(ROWS) == display.value_html([dict(ROWS[0])])


@pytest.mark.parametrize(
    ("value", "part"),
    [
        (ROWS, "<table"),
        ({"a": 1.0}, "<th"),
        (42.0, ">42</div>"),
        ([1.0, 2.0], "<pre"),
        ([], "0 documents"),
        (None, "null"),
    ],
)
def test_a_value_shows_itself_by_what_it_holds(value, part):
    assert part in display.value_html(value)
    assert display.value_text(value)


def test_what_is_left_out_of_a_value_is_said():
    """Every static form says how much of the whole it shows."""
    long = ["x" * 100] * 1_000
    for made in (display.value_html(long, note="now"), display.value_text(long)):
        assert "the first 8,192 of 106,002 characters" in made
        assert len(made) < 12_000
    wide = {f"f{n}": n for n in range(100)}
    assert "showing 64 of 100 lines" in display.value_html(wide)
    assert "characters" not in display.value_text([1])


@pytest.mark.parametrize(
    "held",
    [
        lambda url: [{"url": url}],
        lambda url: {"url": url},
        lambda url: [{"files": [url]}],
        lambda url: [url, 1],
    ],
)
def test_the_secret_of_a_files_address_is_not_shown(held):
    """What is shown is saved with the notebook; an address of somebody else's is whole."""
    secret = secrets.token_urlsafe(24)
    ours = f"http://127.0.0.1:8000/c/{secret}/api/storage/c464a787"
    for show in (display.value_html, display.value_text):
        assert secret not in show(held(ours))
        assert "//127.0.0.1:8000/c/…/api" in show(held(ours))
        assert "//a.example/c/photos/1" in show(held("//a.example/c/photos/1"))
