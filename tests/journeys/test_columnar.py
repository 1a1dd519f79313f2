"""The columnar mirror in a real deployment: functions ask it while its keeper dies or hangs.

What functions ask of it (SQL, aggregates, orders, filters) is compared with the same
computed in Python from the documents, in one query, so at one snapshot.
"""

from __future__ import annotations

import contextlib
import os
import random
import signal
import threading
from typing import TYPE_CHECKING, Any, Self

import pytest
from tests.deployments import deployment, until

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from tests.deployments import Deployment

ROWS = 2600  # more than are read one by one
FUNCTIONS = """
from convexlab import count, max_, mutation, query, sum_

@mutation
def add(ctx, start: int, n: int):
    return [
        ctx.db.insert("sales", {"n": k, "shop": f"s{k % 7}", "price": k % 13 / 10})
        for k in range(start, start + n)
    ]

@mutation
def change(ctx, ids: list[str], price: float, old: list[str]):
    for id in ids:
        ctx.db.patch(id, {"price": price})
    for id in old:
        ctx.db.delete(id)

@query
def by_columns(ctx):
    sales = ctx.db.query("sales")
    dear = sales.filter(lambda sale: sale.price > 0.6)
    top = sales.order_by("price", "desc").take(50)
    groups = sales.group_by("shop").agg(n=count(), total=sum_("price"), last=max_("n"))
    sql = ctx.db.sql("select shop, count(*) n, max(n) last from sales group by 1 order by 1")
    return [dear.count(), [sale["_id"] for sale in top], groups, sql]

@query
def both(ctx):
    rows = list(ctx.db.query("sales"))
    dear = sum(sale["price"] > 0.6 for sale in rows)
    def place(sale):
        return (sale["price"], sale["_creationTime"], sale["_id"])
    top = [sale["_id"] for sale in sorted(rows, key=place)[::-1][:50]]
    shops = {}
    for sale in rows:
        shops.setdefault(sale["shop"], []).append(sale)
    import math
    groups = [
        {
            "shop": shop,
            "n": len(of),
            "total": math.fsum(sale["price"] for sale in of),
            "last": max(sale["n"] for sale in of),
        }
        for shop, of in sorted(shops.items())
    ]
    sql = [{name: of[name] for name in ("shop", "n", "last")} for of in groups]
    return [by_columns.handler(ctx), [dear, top, groups, sql]]

@mutation
def sql_count(ctx):
    ctx.db.insert("notes", {})
    return ctx.db.sql("select count(*) n from sales")[0]["n"]

@mutation
def dear(ctx):
    return ctx.db.query("sales").filter(lambda sale: sale.price > 0.6).count()
"""


@pytest.fixture(scope="module")
def lab(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Deployment]:
    folder: Path = tmp_path_factory.mktemp("columns") / "lab"
    with deployment(folder, {"m": FUNCTIONS}, FOLLOWER_REST_SECONDS=0.1) as lab:
        lab.mutation("m:add", start=0, n=ROWS)
        yield lab


def check(lab: Deployment) -> None:
    """The mirror says what the documents say."""
    said: dict[str, Any] = {}

    def is_told() -> bool:
        said.update(lab.call("query", "m:both"))
        return (
            said["status"] == "success" or "FollowerBehind" not in said["errorMessage"]
        )

    until(is_told, lambda: str(said))
    assert said["status"] == "success", said
    by_columns, by_rows = said["value"]
    assert by_columns == by_rows


def keeper(lab: Deployment) -> int:
    """The process, once there is one."""
    found: list[int] = []
    until(lambda: found.extend(lab.pids("index_keeper")) or found, lab.log)
    return found[0]


def kill_keeper(lab: Deployment) -> None:
    """Kill the one that runs; of one that has just ended the status may not know yet."""

    def killed() -> bool:
        with contextlib.suppress(ProcessLookupError):
            os.kill(keeper(lab), signal.SIGKILL)
            return True
        return False

    until(killed, lab.log)


def mirror(lab: Deployment) -> dict[str, Any]:
    (said,) = [f for f in lab.status()["followers"] if f["name"] == "columnar"]
    return dict(said)


class Writers:
    """A thread that commits without pause."""

    def __init__(self, lab: Deployment) -> None:
        self.committed = 0
        self._lab = lab
        self._is_over = False
        self._chance = random.Random(5)
        self._thread = threading.Thread(target=self._write)

    def _write(self) -> None:
        start, old = ROWS, list[str]()
        while not self._is_over:
            size = self._chance.randint(2, 30)
            ids = self._lab.mutation("m:add", start=start, n=size)
            changed, price = ids[: size // 2], self._chance.random()
            self._lab.mutation("m:change", ids=changed, price=price, old=old)
            start, old = start + size, ids
            self.committed += 2

    def wait_for(self, more: int) -> None:
        """Until so many more have been committed."""
        goal = self.committed + more
        until(lambda: self.committed >= goal or not self._thread.is_alive())

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._is_over = True
        self._thread.join()


def test_a_keeper_that_is_killed_at_any_moment_comes_back_with_the_same(
    lab: Deployment,
):
    chance = random.Random(6)
    check(lab)
    with Writers(lab) as writers:
        for turn in range(5):
            writers.wait_for(chance.randint(0, 3))
            if turn % 2:  # in the middle of answering
                asking = threading.Thread(target=lab.call, args=("query", "m:both"))
                asking.start()
                kill_keeper(lab)
                asking.join()
            else:
                kill_keeper(lab)
            check(lab)
    check(lab)
    assert lab.query("m:by_columns") == lab.query("m:both")[1]
    assert mirror(lab)["documents"] >= ROWS


@contextlib.contextmanager
def stopped(pid: int) -> Iterator[None]:
    """A process that does not move, as one that swaps or is being debugged."""
    os.kill(pid, signal.SIGSTOP)
    try:
        yield
    finally:
        os.kill(pid, signal.SIGCONT)


def test_a_mutation_waits_for_a_keeper_that_hangs_only_so_long(lab: Deployment):
    check(lab)
    counted = lab.mutation("m:sql_count")
    expected = lab.mutation("m:dear")
    with stopped(keeper(lab)):
        said: dict[str, Any] = {}

        def ask() -> None:
            said.update(lab.call("mutation", "m:sql_count"))

        asking = threading.Thread(target=ask)
        asking.start()
        others = []
        while asking.is_alive() or not others:  # each is acknowledged
            others += lab.mutation("m:add", start=8, n=1)  # a dear one
        asking.join()
        assert said["status"] == "error"
        assert "The columnar index is starting" in said["errorMessage"]
        # What can be read from the rows is.
        assert lab.mutation("m:dear") == expected + len(others)
    until(lambda: lab.call("mutation", "m:sql_count")["status"] == "success")
    assert lab.mutation("m:sql_count") == counted + len(others)
    check(lab)
