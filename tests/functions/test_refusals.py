"""What only actions may do: honest mistakes, and what is said of each."""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING

import pytest
from tests.functions.lab import analysis_of, lab_of

from convexlab.errors import PushFailed

if TYPE_CHECKING:
    from pathlib import Path

FILES = "Data is kept in documents, and files in `ctx.storage`"
ACTION = (
    "Do it in an action and hand what it finds to a mutation with `ctx.run_mutation`."
)
LATER = "To go on later, let a mutation call `ctx.scheduler.run_after`."
PASS = "Let an action read it, and pass it as an argument."

# What is written, what it imports, what is said: who, what, and the way out.
ESCAPES = [
    # files
    ("open('notes.txt').read()", "", "open('notes.txt')", "open files", FILES),
    ("open('/tmp/x', 'a').write('x')", "", "open('/tmp/x')", "open files", FILES),
    ("pathlib.Path('x').write_text('x')", "import pathlib", "pathlib.Path.write_text", "open files", FILES),
    ("pathlib.Path('x').exists()", "import pathlib", "pathlib.Path.exists", "look at or change files", FILES),
    ("os.path.exists('x')", "import os", "os.path.exists", "look at or change files", FILES),
    ("os.stat('x')", "import os", "os.stat", "look at or change files", FILES),
    ("os.getcwd()", "import os", "os.getcwd", "look at or change files", FILES),
    ("os.listdir('/')", "import os", "os.listdir", "look at or change files", FILES),
    ("os.makedirs('/tmp/a/b')", "import os", "os.makedirs", "look at or change files", FILES),
    ("os.remove('/tmp/nope')", "import os", "os.remove", "look at or change files", FILES),
    ("glob.glob('*.csv')", "import glob", "glob.glob", "look at or change files", FILES),
    ("shutil.copy('/etc/hostname', '/tmp/x')", "import shutil", "shutil.copy", "look at or change files", FILES),
    ("tempfile.NamedTemporaryFile()", "import tempfile", "tempfile.NamedTemporaryFile", "look at or change files", FILES),
    ("tempfile.mkdtemp()", "import tempfile", "tempfile.mkdtemp", "look at or change files", FILES),
    ("sqlite3.connect('x.db')", "import sqlite3", "sqlite3.connect", "open files", FILES),
    ("shelve.open('x')", "import shelve", "shelve.open", "open files", FILES),
    ("zipfile.ZipFile('x.zip', 'w')", "import zipfile", "zipfile.ZipFile", "open files", FILES),
    ("pd.read_csv('x.csv')", "import pandas as pd", "pandas.read_csv", "open files", FILES),
    ("pd.read_parquet('x.parquet')", "import pandas as pd", "pandas.read_parquet", "open files", FILES),
    ("pl.read_csv('x.csv')", "import polars as pl", "polars.read_csv", "open files", FILES),
    ("pl.scan_parquet(source=pathlib.Path('x.parquet'))", "import pathlib, polars as pl", "polars.scan_parquet", "open files", FILES),
    ("pq.read_table('x.parquet')", "import pyarrow.parquet as pq", "pyarrow.parquet.read_table", "open files", FILES),
    ("duckdb.connect('x.duckdb')", "import duckdb", "duckdb.connect", "open files", FILES),
    ("logging.basicConfig(filename='x.log', force=True)", "import logging", "logging.basicConfig", "open files", FILES),
    ("logging.FileHandler('x.log')", "import logging", "logging.FileHandler", "open files", FILES),
    # the network
    ("requests.get('http://localhost:1')", "import requests", "requests.get", "open sockets", ACTION),
    ("httpx.get('http://localhost:1')", "import httpx", "httpx.get", "open sockets", ACTION),
    ("urllib.request.urlopen('http://localhost:1')", "import urllib.request", "urllib.request.urlopen", "open sockets", ACTION),
    ("socket.create_connection(('localhost', 1))", "import socket", "socket.create_connection", "open sockets", ACTION),
    ("socket.gethostname()", "import socket", "socket.gethostname", "open sockets", ACTION),
    ("smtplib.SMTP('localhost')", "import smtplib", "smtplib.SMTP", "open sockets", ACTION),
    # processes and threads
    ("subprocess.run(['true'])", "import subprocess", "subprocess.run", "start processes", ACTION),
    ("subprocess.check_output('true', shell=True)", "import subprocess", "subprocess.check_output", "start processes", ACTION),
    ("os.system('true')", "import os", "os.system", "start processes", ACTION),
    ("os.popen('true').read()", "import os", "os.popen", "start processes", ACTION),
    ("os.fork()", "import os", "os.fork", "start processes", ACTION),
    ("multiprocessing.Pool(2)", "import multiprocessing", "multiprocessing", "start processes", ACTION),
    ("multiprocessing.Process(target=print).start()", "import multiprocessing", "multiprocessing", "start processes", ACTION),
    ("ProcessPoolExecutor().submit(print)", "from concurrent.futures import ProcessPoolExecutor", "concurrent.futures.ProcessPoolExecutor.submit", "start processes", ACTION),
    ("ThreadPoolExecutor().submit(print)", "from concurrent.futures import ThreadPoolExecutor", "concurrent.futures.ThreadPoolExecutor.submit", "start threads", "an action's work"),
    ("threading.Thread(target=print).start()", "import threading", "threading.Thread.start", "start threads", "an action's work"),
    ("threading.Timer(1, print).start()", "import threading", "threading.Thread.start", "start threads", "an action's work"),
    ("_thread.start_new_thread(print, ())", "import _thread", "_thread.start_new_thread", "start threads", "an action's work"),
    # waiting
    ("time.sleep(1)", "import time", "time.sleep", "wait", LATER),
    ("sleep(1)", "from time import sleep", "time.sleep", "wait", LATER),
    ("asyncio.run(asyncio.sleep(1))", "import asyncio", "asyncio.sleep", "wait", LATER),
    ("asyncio.get_event_loop()", "import asyncio", "asyncio.get_event_loop", "wait", LATER),
    ("asyncio.new_event_loop()", "import asyncio", "asyncio.new_event_loop", "wait", LATER),
    ("threading.Event().wait(60)", "import threading", "threading.Event.wait", "wait", LATER),
    ("queue.Queue().get(timeout=60)", "import queue", "queue.Queue.get", "wait", LATER),
    ("select.select([], [], [], 60)", "import select", "select.select", "wait", LATER),
    # the environment, the terminal, the process
    ("os.environ['HOME']", "import os", "os.environ", "read the environment", PASS),
    ("os.environ.get('HOME')", "import os", "os.environ", "read the environment", PASS),
    ("os.getenv('HOME')", "import os", "os.getenv", "read the environment", PASS),
    ("dict(os.environ)", "import os", "os.environ", "read the environment", PASS),
    ("os.environ.update(A='b')", "import os", "os.environ", "read the environment", PASS),
    ("environ['HOME']", "from os import environ", "os.environ", "read the environment", PASS),
    ("os.path.expanduser('~')", "import os", "os.path.expanduser", "read the environment", PASS),
    ("input('name? ')", "", "input", "ask at a terminal", "Pass it as an argument."),
    ("getpass.getpass()", "import getpass", "getpass.unix_getpass", "ask at a terminal", "Pass it as an argument."),
    ("breakpoint()", "", "breakpoint", "stop at a breakpoint", "`convexlab.testing`"),
    ("pdb.Pdb()", "import pdb", "pdb.Pdb", "stop at a breakpoint", "in the function's log"),
    ("signal.alarm(1)", "import signal", "signal.alarm", "send or handle signals", LATER),
    ("signal.signal(signal.SIGALRM, print)", "import signal", "signal.signal", "send or handle signals", LATER),
    ("os.kill(os.getpid(), 9)", "import os", "os.kill", "send or handle signals", LATER),
    ("os._exit(1)", "import os", "os._exit", "end their process", "raise `ConvexError`"),
    ("atexit.register(print)", "import atexit", "atexit.register", "leave something for their process's end", LATER),
    ("ctypes.CDLL(None)", "import ctypes", "ctypes.CDLL", "load libraries", ACTION),
]  # fmt: skip


@pytest.mark.parametrize(
    ("body", "imports", "named", "what", "advice"),
    ESCAPES,
    ids=[escape[0] for escape in ESCAPES],
)
@pytest.mark.filterwarnings("ignore:coroutine .* was never awaited")
def test_an_honest_mistake_is_told_what_to_do_instead(
    body: str, imports: str, named: str, what: str, advice: str
):
    for kind in ("query", "mutation"):
        lab = lab_of(f"{imports}\n@{kind}\ndef f(ctx):\n    {body}\n")
        error = lab.outcome(kind, "m:f", {}).error
        assert error is not None
        first = error.message.splitlines()[0]
        rule = f"`{named}`: only actions may {what}, and this is a {kind}. "
        assert first.startswith(f"Uncaught NotAllowed: {rule}"), first
        assert advice in first
        assert 'File "convex/m.py", line' in error.message


@pytest.mark.parametrize(
    ("body", "said"),
    [
        ("sys.exit(1)", "Uncaught SystemExit: 1"),
        ("exit()", "Uncaught SystemExit: None"),
        ("raise KeyboardInterrupt", None),
    ],
)
def test_ending_the_process_ends_the_function_alone(body: str, said: str | None):
    lab = lab_of(f"import sys\n@query\ndef f(ctx):\n    {body}\n")
    if said is None:  # which is no error of a function: somebody wants the process
        with pytest.raises(KeyboardInterrupt):
            lab.outcome("query", "m:f", {})
        return
    assert lab.query_error("m:f").message.startswith(said)


def test_a_counter_in_a_module_counts_nothing():
    lab = lab_of(
        """
        count = 0
        seen = []
        @mutation
        def f(ctx):
            global count
            count += 1
            seen.append(count)
            return [count, len(seen)]
        """
    )
    assert [lab.mutation("m:f") for _ in range(3)] == [[1, 1]] * 3


@pytest.mark.parametrize(
    "body",
    [
        "await asyncio.sleep(1)",
        "await asyncio.sleep(0)",
        "await asyncio.gather(asyncio.sleep(1))",
        "await asyncio.to_thread(print)",
        "await asyncio.get_running_loop().run_in_executor(None, print)",
    ],
)
@pytest.mark.filterwarnings("ignore:coroutine .* was never awaited")
def test_an_async_query_that_waits_is_told_so(body: str):
    lab = lab_of(f"import asyncio\n@query\nasync def f(ctx):\n    {body}\n")
    error = lab.query_error("m:f").message
    assert "only actions may wait, and this is a query" in error
    assert LATER in error


# -- what is allowed ------------------------------------------------------------------


@pytest.mark.parametrize(
    ("body", "imports", "value"),
    [
        ("__import__('colorsys').rgb_to_hsv(0, 0, 0)[0]", "", 0),
        ("importlib.import_module('wave').__name__", "import importlib", "wave"),
        ("str(ZoneInfo('America/Lima'))", "from zoneinfo import ZoneInfo", "America/Lima"),
        ("str(datetime.strptime('2 Jan 2024', '%d %b %Y'))", "from datetime import datetime", "2024-01-02 00:00:00"),
        ("time.strftime('%Y', time.strptime('2024', '%Y'))", "import time", "2024"),
        ("'straße.de'.encode('idna').decode()", "", "strasse.de"),
        ("'ä'.encode('cp037').decode('cp037')", "", "ä"),
        ("codecs.lookup('koi8-r').name", "import codecs", "koi8-r"),
        ("mimetypes.guess_type('a.png')[0]", "import mimetypes", "image/png"),
        ("bool(importlib.metadata.version('msgspec'))", "import importlib.metadata", True),
        ("traceback.format_exc().strip()", "import traceback", "NoneType: None"),
        ("decimal.Decimal('1.1').__str__()", "import decimal", "1.1"),
        ("threading.Lock().acquire()", "import threading", True),
        ("io.StringIO('x').read()", "import io", "x"),
        ("pd.DataFrame({'a': [1, 2]})['a'].sum().item()", "import pandas as pd", 3),
        ("pl.read_csv(io.BytesIO(b'a\\n1\\n'))['a'].to_list()", "import io, polars as pl", [1]),
        ("duckdb.connect().execute('select 1').fetchall()[0][0]", "import duckdb", 1),
    ],
)  # fmt: skip
def test_what_python_does_for_itself_is_allowed(body: str, imports: str, value: object):
    lab = lab_of(f"{imports}\n@query\ndef f(ctx):\n    return {body}\n")
    assert lab.query("m:f") == value


def test_a_library_may_look_for_its_own(tmp_path: Path, monkeypatch):
    """What it finds in the environment, and whether a file of its is there."""
    (tmp_path / "a_library.py").write_text(
        "import os\ndef look(): return [os.path.exists(__file__), os.environ.get('NO')]"
    )
    monkeypatch.syspath_prepend(tmp_path)
    lab = lab_of("import a_library\n@query\ndef f(ctx):\n    return a_library.look()\n")
    assert lab.query("m:f") == [True, None]
    del sys.modules["a_library"]


def test_where_the_log_goes_stays_as_it_is():
    lab = lab_of(
        """
        import logging
        logging.basicConfig(level=logging.ERROR, force=True)
        @query
        def f(ctx):
            logging.basicConfig(level=logging.CRITICAL, force=True)
            logging.info("still there")
        """
    )
    assert lab.outcome("query", "m:f", {}).log_lines == ["[INFO] 'still there'"]


# -- modules --------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("line", "named", "what"),
    [
        ("open('x').read()", "open('x')", "open files"),
        ("KEY = os.environ['KEY']", "os.environ", "read the environment"),
        ("requests.get('http://localhost:1')", "requests.get", "open sockets"),
        ("subprocess.run(['true'])", "subprocess.run", "start processes"),
        ("threading.Thread(target=print).start()", "threading.Thread.start", "start threads"),
        ("time.sleep(1)", "time.sleep", "wait"),
    ],
)  # fmt: skip
def test_what_a_module_does_as_it_loads_is_refused_with_its_line(
    line: str, named: str, what: str
):
    with pytest.raises(PushFailed) as raised:
        analysis_of(f"import os, requests, subprocess, threading, time\n\n{line}\n")
    said = f"`{named}`: only actions may {what}, and this is a module's top level. "
    assert str(raised.value) == f"{said}Do it inside an action, when that runs."
    assert (raised.value.path, raised.value.line) == ("m", 5)


def test_a_module_that_imports_one_that_reads_a_file_is_told_where():
    with pytest.raises(PushFailed) as raised:
        analysis_of("from .settings import X\n", settings="\nX = open('x').read()\n")
    assert "`open('x')`: only actions may open files" in str(raised.value)
    assert (raised.value.path, raised.value.line) == ("settings", 4)


def test_a_package_may_read_its_files_as_it_is_imported(tmp_path: Path, monkeypatch):
    (tmp_path / "reads_a_file.py").write_text("TEXT = open(__file__).read()")
    monkeypatch.syspath_prepend(tmp_path)
    lab = lab_of(
        "@query\ndef f(ctx):\n    import reads_a_file\n    return reads_a_file.TEXT\n"
    )
    assert lab.query("m:f") == "TEXT = open(__file__).read()"
    del sys.modules["reads_a_file"]
