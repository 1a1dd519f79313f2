from __future__ import annotations

import os
import random
import subprocess
import sys
import threading
import time

import pytest
from tests.functions.lab import NOW_MS, Lab, lab_of

from convexlab.errors import NotAllowed
from convexlab.functions import replacements
from convexlab.functions.determinism import Run, inside, running
from convexlab.functions.processes.spawning import SAME_EVERYWHERE


def run_twice(body: str, *, imports: str = "") -> list:
    """What a query gives in two runs with one seed, and in one with another."""
    lab = lab_of(f"{imports}\n@query\ndef f(ctx):\n    return {body}\n")
    first, second = lab.query("m:f"), lab.query("m:f")
    lab.seed = b"another seed"
    return [first, second, lab.query("m:f")]


@pytest.mark.parametrize(
    ("body", "imports"),
    [
        ("random.random()", "import random"),
        (
            "[choice([1, 2, 3, 4, 5, 6, 7]) for _ in range(9)]",
            "from random import choice",
        ),
        ("random.Random().random()", "import random"),
        ("random.SystemRandom().random()", "import random"),
        ("random.sample(range(1000), 5)", "import random"),
        ("str(uuid.uuid4())", "import uuid"),
        ("str(uuid.uuid1())", "import uuid"),
        ("secrets.token_hex(8)", "import secrets"),
        ("secrets.token_bytes(8)", "import secrets"),
        ("[secrets.randbelow(10**9), secrets.choice(range(10**6))]", "import secrets"),
        ("os.urandom(8)", "import os"),
        ("float(np.random.rand())", "import numpy as np"),
        (
            "[float(x) for x in np.random.default_rng().normal(size=3)]",
            "import numpy as np",
        ),
        ("int(np.random.randint(10**9))", "import numpy as np"),
    ],
)
def test_d1_chance_comes_from_the_seed(body, imports) -> None:
    first, second, other = run_twice(body, imports=imports)
    assert first == second
    assert first != other


def test_chance_goes_on_within_a_run() -> None:
    values = lab_of(
        """
        import random, secrets, uuid, os
        @query
        def f(ctx):
            return [random.random(), random.random(), secrets.token_hex(4), secrets.token_hex(4), str(uuid.uuid4()), str(uuid.uuid4())]
        """
    ).query("m:f")
    assert len(set(values)) == 6


def test_a_seed_that_a_function_sets_is_its_own() -> None:
    state = random.getstate()
    lab = lab_of(
        "import random\n@query\ndef f(ctx):\n    random.seed(7)\n    return random.random()"
    )
    assert lab.query("m:f") == random.Random(7).random()
    assert random.getstate() == state


@pytest.mark.parametrize(
    ("body", "imports", "expected"),
    [
        ("time.time()", "import time", NOW_MS / 1000),
        ("time()", "from time import time", NOW_MS / 1000),
        ("str(time.time_ns())", "import time", "1750000000123000000"),
        ("time.monotonic() - time.monotonic()", "import time", 0),
        ("time.perf_counter() - time.perf_counter()", "import time", 0),
        ("time.strftime('%Y-%m-%d')", "import time", "2025-06-15"),
        ("time.strftime('%Y', time.gmtime(0))", "import time", "1970"),
        ("time.gmtime().tm_year", "import time", 2025),
        ("str(datetime.now(timezone.utc))", "from datetime import datetime, timezone", "2025-06-15 15:06:40.123000+00:00"),
        ("str(datetime.datetime.now())", "import datetime", "2025-06-15 15:06:40.123000"),
        ("str(dt.datetime.utcnow())", "import datetime as dt", "2025-06-15 15:06:40.123000"),
        ("str(datetime.today())", "from datetime import datetime", "2025-06-15 15:06:40.123000"),
        ("str(date.today())", "from datetime import date", "2025-06-15"),
        ("str(datetime.now(ZoneInfo('Asia/Tokyo')))", "from datetime import datetime\nfrom zoneinfo import ZoneInfo", "2025-06-16 00:06:40.123000+09:00"),
        ("ctx.now()", "", NOW_MS),
    ],
)  # fmt: skip
def test_time_stands_still(body, imports, expected) -> None:
    assert run_twice(body, imports=imports) == [expected] * 3


def test_looking_at_the_clock_is_noted() -> None:
    lab = lab_of(
        """
        import time
        @query
        def looks(ctx): return time.time()
        @query
        def asks(ctx): return ctx.now()
        @query
        def neither(ctx): return 1
        """
    )
    assert [
        lab.outcome("query", path, {}).clock_read
        for path in ("m:looks", "m:asks", "m:neither")
    ] == [True, True, False]


def test_datetime_is_otherwise_pythons() -> None:
    lab = lab_of(
        """
        import datetime as dt
        from datetime import datetime, date, timedelta, timezone
        from pydantic import BaseModel
        class Day(datetime):
            def shout(self): return "!"
        class Event(BaseModel):
            at: datetime
            on: date
        @query
        def f(ctx):
            moment = datetime(2024, 2, 29, tzinfo=timezone.utc)
            event = Event(at="2024-01-01T00:00:00Z", on="2024-01-01")
            return [
                isinstance(moment, datetime), isinstance(moment, date), isinstance(date(2024, 1, 1), datetime),
                isinstance(moment + timedelta(1), datetime), str(datetime.fromisoformat("2024-01-01")),
                str(datetime.strptime("2024", "%Y")), str(datetime.combine(date(2024, 1, 1), dt.time(1))),
                Day(2024, 1, 1).shout(), isinstance(Day(2024, 1, 1), datetime), to_ms(moment),
                issubclass(datetime, date), isinstance(from_ms(0), datetime), isinstance(event.at, datetime),
                datetime.max.year, datetime.now() > datetime.min,
            ]
        """
    )
    assert lab.query("m:f") == [
        True, True, False, True, "2024-01-01 00:00:00", "2024-01-01 00:00:00", "2024-01-01 01:00:00",
        "!", True, 1709164800000.0, True, True, True, 9999, True,
    ]  # fmt: skip


READER = """
import sys
from tests.functions.lab import lab_of

lab = lab_of('''
import os, random, secrets, time, uuid
from datetime import date, datetime
import numpy as np

@query
def f(ctx):
    words = {f"word {n}" for n in range(50)} | {b"bytes", 3.5, None, (1, "x")}
    return {
        "set": [repr(word) for word in words],
        "frozen": [repr(word) for word in frozenset(words)],
        "hash": str(hash("a text")),
        "times": [time.time(), str(datetime.now().astimezone()), str(date.today()), time.ctime()],
        "zone": list(time.tzname),
        "chance": [random.random(), random.choice("abc"), secrets.token_hex(), str(uuid.uuid4()), str(uuid.uuid1())],
        "numpy": np.random.rand(3).tolist() + np.random.default_rng().normal(size=3).tolist(),
        "bytes": os.urandom(16),
    }
''')
lab.seed = sys.argv[1].encode()
sys.stdout.buffer.write(lab.outcome("query", "m:f", {}).value)
"""


def answered(seed: str, zone: str) -> bytes:
    """What a query says in a process of its own, with the environment of a reader."""
    ran = subprocess.run(
        [sys.executable, "-c", READER, seed],
        env=os.environ | {"TZ": zone, "PYTHONHASHSEED": "7"} | SAME_EVERYWHERE,
        capture_output=True,
        check=False,
    )
    assert ran.returncode == 0, ran.stderr.decode()
    return ran.stdout


def test_d1_two_readers_give_byte_equal_results() -> None:
    """Sets of texts, dates and random numbers, wherever the machine is."""
    first = answered("one", "Asia/Tokyo")
    assert b"word 49" in first
    assert answered("one", "America/New_York") == first
    assert answered("two", "Asia/Tokyo") != first


def test_d2_nothing_is_in_force_outside_of_a_run(tmp_path) -> None:
    replacements.install()
    assert running() is None
    assert "PATH" in os.environ
    (tmp_path / "x").write_text("x")
    before = time.time()
    assert time.time() >= before > 1.6e9
    thread = threading.Thread(target=lambda: None)
    thread.start()
    thread.join()
    with inside(Run("a query", now_ms=1000, seed=b"x")) as run:
        assert time.time() == 1.0
        run.active = False
        assert time.time() > 1.6e9
        assert "PATH" in os.environ


def test_d2_another_thread_is_not_in_the_run() -> None:
    found: list[float] = []
    thread = threading.Thread(target=lambda: found.append(time.time()))
    with inside(Run("a query", now_ms=1000, seed=b"x")) as run:
        run.active = False
        thread.start()
        run.active = True
        run.active = False
    thread.join()
    assert found[0] > 1.6e9


def test_installing_twice_changes_nothing_more() -> None:
    replacements.install()
    functions = (time.time, random.random, os.urandom)
    replacements.install()
    assert functions == (time.time, random.random, os.urandom)


def test_a_refusal_can_be_caught_like_any_error() -> None:
    lab = lab_of(
        """
        @query
        def f(ctx):
            try:
                open("/etc/hostname")
            except Exception as error:
                return type(error).__name__
        """
    )
    assert lab.query("m:f") == NotAllowed.__name__


def test_the_store_is_used_without_restraint(tmp_path) -> None:
    from convexlab.engine.committer import Committer
    from convexlab.engine.persistence.sqlite import SqlitePersistence

    lab: Lab = lab_of(
        """
        @mutation
        def f(ctx):
            ctx.db.insert("t", {"a": 1})
            return [d["a"] for d in ctx.db.query("t")]
        """
    )
    store = SqlitePersistence(tmp_path / "store")
    lab.committer = Committer(store)
    assert lab.mutation("m:f") == [1]
    lab.committer.settle_all()
    assert lab.mutation("m:f") == [1, 1]
    lab.committer.settle_all()
    store.close()
