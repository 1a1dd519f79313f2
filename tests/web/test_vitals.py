"""Vitals, of a real deployment: they are told when there is something else to see."""

from __future__ import annotations

import threading
from typing import TYPE_CHECKING, Any

import psutil
import pytest
from tests.deployments import deployment

from convexlab.web.vitals import _seen

if TYPE_CHECKING:
    from collections.abc import Iterator

    from tests.deployments import Deployment

VITALS = "/api/convexlab/vitals"


@pytest.fixture(scope="module")
def running(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Deployment]:
    """A deployment that nobody has asked for a derived index yet."""
    with deployment(tmp_path_factory.mktemp("vitals") / "d", {}) as running:
        yield running


def vitals(running: Deployment, seen: str = "") -> Any:
    return running.ask("GET", f"{VITALS}?seen={seen}").json()


def test_each_process_has_its_memory(running: Deployment) -> None:
    """The gateway too, which answers."""
    told = vitals(running)
    roles = [each["role"] for each in told["processes"]]
    assert {"gateway", "writer", "reader"} <= set(roles)
    assert all(each["memory"] > 1_000_000 for each in told["processes"])
    assert told["followers"] == []


def test_who_waits_hears_of_what_comes_and_goes(running: Deployment) -> None:
    """A process that ends, a derived index that begins; and how far it is behind."""
    before = vitals(running)
    heard: list[Any] = []
    waits = threading.Thread(
        target=lambda: heard.append(vitals(running, before["seen"]))
    )
    waits.start()
    select = {"sql": "SELECT 1 AS n", "format": "json"}
    running.ask("POST", "/api/convexlab/sql", select)
    waits.join(60)
    (told,) = heard
    while not told["followers"]:  # the process was there before what it follows
        told = vitals(running, told["seen"])
    (mirror,) = told["followers"]
    assert (mirror["name"], mirror["failure"]) == ("columnar", None)
    assert mirror["lagSeconds"] >= 0
    while told["followers"][0]["documentsBehind"] is None:  # it was not there yet
        told = vitals(running, told["seen"])
    assert told["followers"][0]["documentsBehind"] == 0
    keeper = next(e["pid"] for e in told["processes"] if e["role"] == "index_keeper")
    psutil.Process(keeper).kill()
    while any(each["pid"] == keeper for each in told["processes"]):
        told = vitals(running, told["seen"])


def test_what_nobody_could_tell_apart_is_no_news() -> None:
    """Of a derived index: what it holds, and how far it is behind; not its watermark."""
    index = {"table": "tasks", "index": "by_text", "texts": 3, "bytes": 100}
    told = {"name": "text", "lagSeconds": 0.01, "watermark": 7, "indexes": [index]}
    before = _seen([], [told])
    assert _seen([], [told | {"lagSeconds": 0.02, "watermark": 9}]) == before
    others = [
        told | {"documentsBehind": 4},
        told | {"lagSeconds": 0.2},
        told | {"wanted": 1},
        told | {"problem": "no model"},
        told | {"indexes": [index | {"texts": 4}]},
    ]
    assert before not in [_seen([], [other]) for other in others]


def test_only_the_owner_is_told(running: Deployment) -> None:
    """As of everything that administers."""
    answer = running.ask("GET", VITALS, key="")
    assert answer.status_code in (401, 403)
