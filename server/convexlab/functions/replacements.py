"""Replacements: what Python offers for time, chance and the world, asking for the current run.

Python's own modules are changed in place, once a process, by `install`; outside of
a run they behave as before. Only `datetime` is written in C beyond reach: user
modules that import it get a copy of the module with two classes replaced.
"""

from __future__ import annotations

import _thread
import asyncio
import atexit
import builtins
import datetime as dt
import functools
import logging
import os
import random
import select
import signal
import subprocess
import sys
import threading
import time
import types
import uuid
from typing import TYPE_CHECKING, Any, Final

from convexlab.functions import environment
from convexlab.functions.determinism import USER_PACKAGE, current, running
from convexlab.functions.refusals import (
    CHANGE_FILES,
    END,
    LATER,
    OPEN_FILES,
    SIGNALS,
    THREADS,
    WAIT,
    audit,
    refuse,
    refuse_to_users,
)

if TYPE_CHECKING:
    from collections.abc import Callable

# On what has been replaced, so that nothing is replaced twice.
_MARK: Final = "_convexlab"

_LEVELS: Final = {
    "DEBUG": "DEBUG",
    "INFO": "INFO",
    "WARNING": "WARN",
    "ERROR": "ERROR",
    "CRITICAL": "ERROR",
}


# What opens files without asking Python, where its source is a path.
_OPENING: Final = {
    "duckdb": ("connect", "read_csv", "read_json", "read_parquet"),
    "pandas": ("read_feather", "read_orc", "read_parquet"),
    "polars": (
        *("read_csv", "read_ipc", "read_json", "read_ndjson", "read_parquet"),
        *("scan_csv", "scan_ipc", "scan_ndjson", "scan_parquet"),
    ),
    "pyarrow.parquet": ("read_metadata", "read_schema", "read_table"),
}


# -- what is replaced -----------------------------------------------------------


def install() -> None:
    """Changes Python's modules in place; a second call does nothing more.

    Every process that runs user functions calls it before it loads their modules,
    so that also libraries and `from time import time` meet the changed functions.
    """
    if not getattr(time.time, _MARK, False):
        _install_once()
    _install_in_packages()


def _install_once() -> None:
    sys.addaudithook(audit)
    environment.install()
    _replace(subprocess.Popen, "__init__", environment.handed_on)
    _install_time()
    _install_chance()
    _install_guards()
    _install_logging()


def _replace(owner: Any, name: str, build: Callable[[Any], Any]) -> None:
    original = getattr(owner, name)
    replacement = functools.wraps(original, updated=())(build(original))
    setattr(replacement, _MARK, True)
    setattr(owner, name, replacement)


def _install_guards() -> None:
    """What raises no audit event."""
    for owner, names, what in (
        (time, ("sleep",), WAIT),
        (select, ("select",), WAIT),
        (asyncio, ("sleep", "get_event_loop"), WAIT),
        (asyncio.tasks, ("sleep",), WAIT),
        (threading.Condition, ("wait",), WAIT),
        (asyncio.DefaultEventLoopPolicy, ("new_event_loop",), WAIT),
        (_thread, ("start_new_thread",), THREADS),
        (threading.Thread, ("start",), THREADS),
        (signal, ("signal", "alarm", "setitimer", "pause"), SIGNALS),
        (os, ("_exit", "abort"), END),
    ):
        for name in names:
            _guard(owner, name, what, refuse)
    # N.B. what libraries do of these for themselves is their affair.
    for name in ("stat", "lstat", "access", "getcwd"):
        _guard(os, name, CHANGE_FILES, refuse_to_users)
    _guard(atexit, "register", LATER, refuse_to_users)


def _guard(
    owner: Any, name: str, what: str, refuse: Callable[[str, str], None]
) -> None:
    def build(original: Any) -> Any:
        module = f"{owner.__module__}." if isinstance(owner, type) else ""
        shown = f"{module}{owner.__name__}.{name}"

        def guarded(*args: Any, **kwargs: Any) -> Any:
            if running() is not None:
                refuse(what, shown)
            return original(*args, **kwargs)

        return guarded

    _replace(owner, name, build)


def _install_in_packages() -> None:
    """What is asked of packages, once somebody has imported them."""
    _install_numpy()
    for package, names in _OPENING.items():
        owner = sys.modules.get(package)
        if owner is not None and not hasattr(owner, _MARK):
            setattr(owner, _MARK, True)
            for name in filter(owner.__dict__.__contains__, names):
                _replace(owner, name, _unless_from_a_path(f"{package}.{name}"))


def _unless_from_a_path(shown: str) -> Callable[[Any], Any]:
    def build(original: Any) -> Any:
        def guarded(*args: Any, **kwargs: Any) -> Any:
            if running() is not None:
                sources = args[:1] or map(kwargs.get, ("source", "path", "database"))
                if any(_is_path(source) for source in sources):
                    refuse_to_users(OPEN_FILES, shown)
            return original(*args, **kwargs)

        return guarded

    return build


def _is_path(source: object) -> bool:
    return isinstance(source, str | os.PathLike) and source != ":memory:"


def _install_time() -> None:
    def clock(convert: Callable[[float], Any]) -> Callable[[Any], Any]:
        def build(original: Any) -> Any:
            def stopped() -> Any:
                run = running()
                return original() if run is None else convert(run.read_clock())

            return stopped

        return build

    for name in ("time", "monotonic", "perf_counter", "process_time", "thread_time"):
        _replace(time, name, clock(lambda ms: ms / 1000))
        _replace(time, f"{name}_ns", clock(lambda ms: round(ms * 1_000_000)))

    def moment(default: Callable[[float], Any], position: int) -> Callable[[Any], Any]:
        """For functions that take the present when the argument at `position` is missing."""

        def build(original: Any) -> Any:
            def stopped(*args: Any) -> Any:
                run = running()
                if run is None or (len(args) > position and args[position] is not None):
                    return original(*args)
                return original(*args[:position], default(run.read_clock() / 1000))

            return stopped

        return build

    utc = time.gmtime
    for name in ("gmtime", "localtime", "ctime"):
        _replace(time, name, moment(lambda seconds: seconds, 0))
    _replace(time, "strftime", moment(utc, 1))
    _replace(time, "asctime", moment(utc, 0))


def _install_chance() -> None:
    def method(name: str) -> Callable[[Any], Any]:
        def build(original: Any) -> Any:
            def seeded(*args: Any, **kwargs: Any) -> Any:
                run = running()
                if run is None:
                    return original(*args, **kwargs)
                return getattr(run.random(), name)(*args, **kwargs)

            return seeded

        return build

    instance = random.random.__self__  # type: ignore[attr-defined]  # the module's functions are its methods
    for name, value in list(vars(random).items()):
        if getattr(value, "__self__", None) is instance:
            _replace(random, name, method(name))

    def reseed(original: Any) -> Any:
        def seed(self: random.Random, a: Any = None, version: int = 2) -> None:
            run = running()
            if a is None and run is not None:
                a = run.random_bytes(32)
            original(self, a, version)

        return seed

    _replace(random.Random, "seed", reseed)

    def stream(original: Any) -> Any:
        def urandom(size: int, /) -> bytes:
            run = running()
            return original(size) if run is None else run.random_bytes(size)

        return urandom

    _replace(os, "urandom", stream)
    # N.B. SystemRandom, and with it all of `secrets`, draws from this name.
    _replace(random, "_urandom", stream)

    def from_stream(original: Any) -> Any:
        def made(*args: Any, **kwargs: Any) -> uuid.UUID:
            run = running()
            if run is None:
                return original(*args, **kwargs)  # type: ignore[no-any-return]
            return uuid.UUID(bytes=run.random_bytes(16), version=4)

        return made

    for name in ("uuid1", "uuid4"):
        _replace(uuid, name, from_stream)


def _install_numpy() -> None:
    """The functions of `numpy.random`, once somebody has imported numpy.

    numpy itself imports `random` only when asked for it, which nobody would notice.
    """
    if "numpy" not in sys.modules or hasattr(sys.modules["numpy"], _MARK):
        return
    from numpy import random as module

    def method(name: str) -> Callable[[Any], Any]:
        def build(original: Any) -> Any:
            def seeded(*args: Any, **kwargs: Any) -> Any:
                run = running()
                target = original if run is None else getattr(run.numpy_random(), name)
                return target(*args, **kwargs)

            return seeded

        return build

    instance = module.mtrand._rand  # noqa: SLF001 - numpy.random's functions are its methods
    for name, value in list(vars(module).items()):
        if getattr(value, "__self__", None) is instance:
            _replace(module, name, method(name))
    setattr(sys.modules["numpy"], _MARK, True)


# -- print and logging ----------------------------------------------------------


class _RunLog(logging.Handler):
    """Turns records into lines of the current run."""

    def emit(self, record: logging.LogRecord) -> None:
        run = current()
        if run is not None:
            text = record.getMessage()
            if record.exc_info and record.exc_info[1] is not None:
                text = f"{text}: {record.exc_info[1]!r}"
            run.log.add(_LEVELS.get(record.levelname, "LOG"), text)
            return
        last = logging.lastResort
        if (
            last is not None
            and record.levelno >= last.level
            and logging.root.handlers == [self]
        ):
            last.handle(record)


def _install_logging() -> None:
    # Convex shows what `console.info` says, so `logging.info` must not be dropped.
    if logging.root.level == logging.WARNING:
        logging.root.setLevel(logging.INFO)
    logging.root.addHandler(_RunLog())
    _replace(logging, "basicConfig", _once_for_all)
    logging.getLogger(USER_PACKAGE).setLevel(logging.DEBUG)


def _once_for_all(original: Any) -> Any:
    """`logging.basicConfig` in functions: where their log goes has been decided."""

    def configure(**kwargs: Any) -> None:
        if running() is not None and kwargs.get("filename") is not None:
            refuse(OPEN_FILES, "logging.basicConfig")
        elif current() is None:
            original(**kwargs)

    return configure


def _print(
    *values: object,
    sep: str | None = " ",
    end: str | None = "\n",
    file: Any = None,
    flush: bool = False,
) -> None:
    """The `print` of user modules: a log line of the run."""
    run = current()
    if run is None or (file is not None and file not in (sys.stdout, sys.stderr)):
        builtins.print(*values, sep=sep, end=end, file=file, flush=flush)
    else:
        run.log.add(
            "ERROR" if file is not None and file is sys.stderr else "LOG", *values
        )


# -- datetime -------------------------------------------------------------------


class _Facade(type):
    """Makes a stand-in class answer for the real one: all instances are the real one's."""

    def __instancecheck__(cls, instance: object) -> bool:
        real = cls.__dict__.get("_real")
        return (
            isinstance(instance, real) if real else super().__instancecheck__(instance)
        )

    def __subclasscheck__(cls, subclass: type) -> bool:
        real = cls.__dict__.get("_real")
        return (
            issubclass(subclass, real) if real else super().__subclasscheck__(subclass)
        )


def _now(zone: dt.tzinfo | None) -> dt.datetime | None:
    run = running()
    if run is None:
        return None
    moment = dt.datetime.fromtimestamp(run.read_clock() / 1000, dt.UTC)
    return moment.replace(tzinfo=None) if zone is None else moment.astimezone(zone)


class _Datetime(dt.datetime, metaclass=_Facade):
    _real = dt.datetime

    def __new__(cls, *args: Any, **kwargs: Any) -> Any:
        made = dt.datetime if cls is _Datetime else cls
        return dt.datetime.__new__(made, *args, **kwargs)

    @classmethod
    def now(cls, tz: dt.tzinfo | None = None) -> Any:
        moment = _now(tz)
        return dt.datetime.now(tz) if moment is None else moment

    @classmethod
    def today(cls) -> Any:
        return cls.now()

    @classmethod
    def utcnow(cls) -> Any:
        return cls.now(dt.UTC).replace(tzinfo=None)

    @classmethod
    def __get_pydantic_core_schema__(cls, source: Any, handler: Any) -> Any:
        return handler(dt.datetime)


class _Date(dt.date, metaclass=_Facade):
    _real = dt.date

    def __new__(cls, *args: Any, **kwargs: Any) -> Any:
        made = dt.date if cls is _Date else cls
        return dt.date.__new__(made, *args, **kwargs)

    @classmethod
    def today(cls) -> Any:
        moment = _now(None)
        return dt.date.today() if moment is None else moment.date()

    @classmethod
    def __get_pydantic_core_schema__(cls, source: Any, handler: Any) -> Any:
        return handler(dt.date)


def _datetime_module() -> types.ModuleType:
    module = types.ModuleType("datetime", dt.__doc__)
    module.__dict__.update(
        {name: value for name, value in vars(dt).items() if not name.startswith("__")}
    )
    for real, facade in (("datetime", _Datetime), ("date", _Date)):
        facade.__name__ = facade.__qualname__ = real
        facade.__module__ = "datetime"
        facade.__doc__ = getattr(dt, real).__doc__
        setattr(module, real, facade)
    return module


_REPLACED_MODULES: Final = {"datetime": _datetime_module()}


def user_builtins(import_relative: Callable[..., Any]) -> dict[str, Any]:
    """The builtins of one user module: its `print` logs, its imports know its neighbours.

    Args:
        import_relative: called with (name, fromlist, level) for relative imports.
    """

    def import_(
        name: str,
        globals: dict[str, Any] | None = None,  # noqa: A002 - Python calls it with these names
        locals: dict[str, Any] | None = None,  # noqa: A002
        fromlist: tuple[str, ...] | None = (),
        level: int = 0,
    ) -> Any:
        if level > 0:
            return import_relative(name, fromlist or (), level)
        if name in _REPLACED_MODULES:
            return _REPLACED_MODULES[name]
        run = running()
        if run is not None:
            run.active = False
        try:
            module = builtins.__import__(name, globals, locals, fromlist or (), 0)
        finally:
            if run is not None:
                run.active = True
        _install_in_packages()
        return module

    names = dict(vars(builtins))
    names.update(print=_print, __import__=import_)
    return names
