"""Determinism: while a query or mutation runs, time stands still and chance is seeded.

One `Run` is current while user code runs, `None` otherwise. What Python offers
for time, chance and the outside world asks for the current run:

    time, datetime, date     the run's `now_ms`
    random, numpy.random     a generator from the run's seed
    uuid, secrets, urandom   a stream of bytes from the same seed
    files, sockets, processes   refused, by an audit hook
    sleep, threads, environment refused, by replaced functions (they raise no event)
    print, logging           a log line of the run

Python's own modules are changed in place, once a process, by `install`; outside
of a run they behave as before. Only `datetime` is written in C beyond reach: user
modules that import it get a copy of the module with two classes replaced.

This keeps honest code honest; it is no wall against code that wants out. What
Python itself reads for its own needs (imports, time zones, codecs) stays allowed.

Invariants
    D1  Two runs with the same seed and time see the same times and the same chance.
    D2  Nothing here is in force while the engine works on a run's behalf (`active`).
"""

from __future__ import annotations

import _thread
import builtins
import contextlib
import datetime as real_datetime
import functools
import hashlib
import logging
import os
import random
import secrets
import sys
import threading
import time
import types
import uuid
from contextvars import ContextVar
from typing import TYPE_CHECKING, Any, Final

from convexlab import knobs
from convexlab.errors import NotAllowed

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

USER_FILES: Final = "convex/"
"""What the file names of user modules begin with, in code objects and tracebacks."""

_LEVELS: Final = {
    "DEBUG": "DEBUG",
    "INFO": "INFO",
    "WARNING": "WARN",
    "ERROR": "ERROR",
    "CRITICAL": "ERROR",
}


class LogLines:
    """The lines of one run, as clients get them: `[LOG] 'text'`."""

    __slots__ = ("lines",)

    def __init__(self) -> None:
        self.lines: list[str] = []

    def add(self, level: str, *parts: object) -> None:
        """Appends one line, cut to the documented length; past the last one nothing."""
        count = len(self.lines)
        if count > knobs.MAX_LOG_LINES:
            return
        if count == knobs.MAX_LOG_LINES:
            self.lines.append(
                f"[ERROR] Log overflow (maximum {count}). Remaining log lines omitted."
            )
            return
        line = f"[{level}] {' '.join(map(repr, parts))}"
        encoded = line.encode("utf-8", "replace")
        if len(encoded) > knobs.MAX_LOG_LINE_BYTES:
            kept = encoded[: knobs.MAX_LOG_LINE_BYTES].decode("utf-8", "ignore")
            line = f"{kept} (truncated due to length)"
        self.lines.append(line)


class Run:
    """One run of user code: its time, its chance, its log.

    Args:
        what: how refusals name it, for instance "a query" or "a module's top level".
        now_ms: where time stands.
        seed: what its chance comes from.

    Attributes:
        active: whether user code has the floor; cleared while the engine works for it.
        clock_read: *set by* the first look at the time.
    """

    __slots__ = (
        "_drawn",
        "_numpy",
        "_random",
        "active",
        "clock_read",
        "log",
        "now_ms",
        "seed",
        "what",
    )

    def __init__(self, what: str, *, now_ms: float, seed: bytes) -> None:
        self.what = what
        self.now_ms = now_ms
        self.seed = seed
        self.active = True
        self.clock_read = False
        self.log = LogLines()
        self._random: random.Random | None = None
        self._numpy: Any = None
        self._drawn = 0

    def read_clock(self) -> float:
        """The run's time in ms; the result depends on the clock from here on."""
        self.clock_read = True
        return self.now_ms

    def random(self) -> random.Random:
        """The generator behind `random.*`."""
        if self._random is None:
            self._random = random.Random(int.from_bytes(self.derive(b"random"), "big"))  # noqa: S311 - seeded on purpose
        return self._random

    def numpy_random(self) -> Any:
        """The generator behind `numpy.random.*`."""
        if self._numpy is None:
            from numpy.random import RandomState  # noqa: TID253 - only where a user imported it

            words = self.derive(b"numpy")
            self._numpy = RandomState(
                [int.from_bytes(words[i : i + 4], "big") for i in range(0, 32, 4)]
            )
        return self._numpy

    def random_bytes(self, count: int) -> bytes:
        """The next bytes of the stream behind `secrets`, `uuid` and `os.urandom`."""
        self._drawn += 1
        drawn = self._drawn.to_bytes(8, "big")
        return hashlib.shake_256(self.derive(b"bytes") + drawn).digest(count)

    def derive(self, purpose: bytes) -> bytes:
        """32 bytes that only this purpose gets from the seed."""
        return hashlib.blake2b(purpose, key=self.seed[:64], digest_size=32).digest()


_current: ContextVar[Run | None] = ContextVar("convexlab_run", default=None)
begin = _current.set
end = _current.reset
current = _current.get


def running() -> Run | None:
    """The current run if user code has the floor (D2)."""
    run = _current.get()
    return run if run is not None and run.active else None


@contextlib.contextmanager
def inside(run: Run) -> Iterator[Run]:
    """Makes `run` the current one."""
    token = _current.set(run)
    try:
        yield run
    finally:
        _current.reset(token)


# -- what is refused ------------------------------------------------------------

_OPEN_FILES: Final = "open files"
_CHANGE_FILES: Final = "look at or change files"
_SOCKETS: Final = "open sockets"
_PROCESSES: Final = "start processes"
_THREADS: Final = "start threads"
_WAIT: Final = "wait"
_ENVIRONMENT: Final = "read the environment"

_REFUSED: Final[dict[str, str]] = {
    "open": _OPEN_FILES,
    "mmap.__new__": _OPEN_FILES,
    "sqlite3.connect": _OPEN_FILES,
    "builtins.input": "ask at a terminal",
    "sys.breakpointhook": "stop at a breakpoint",
    "ctypes.dlopen": "load libraries",
    "os.putenv": _ENVIRONMENT,
    "os.unsetenv": _ENVIRONMENT,
    "pathlib.Path.glob": _CHANGE_FILES,
    "pathlib.Path.rglob": _CHANGE_FILES,
    **dict.fromkeys(
        [
            "os.chdir", "os.chflags", "os.chmod", "os.chown", "os.fwalk", "os.link", "os.listdir",
            "os.listxattr", "os.lockf", "os.mkdir", "os.remove", "os.removexattr", "os.rename",
            "os.rmdir", "os.scandir", "os.setxattr", "os.symlink", "os.truncate", "os.utime", "os.walk",
            "glob.glob", "glob.glob/2", "shutil.copyfile", "shutil.copytree", "shutil.move",
            "shutil.rmtree", "shutil.make_archive", "shutil.unpack_archive",
            "tempfile.mkdtemp", "tempfile.mkstemp",
        ],
        _CHANGE_FILES,
    ),
    **dict.fromkeys(
        [
            "socket.__new__", "socket.bind", "socket.connect", "socket.getaddrinfo",
            "socket.gethostbyaddr", "socket.gethostbyname", "socket.getnameinfo", "socket.sendmsg",
            "socket.sendto", "http.client.connect", "urllib.Request", "smtplib.connect", "ftplib.connect",
        ],
        _SOCKETS,
    ),
    **dict.fromkeys(
        [
            "subprocess.Popen", "os.system", "os.exec", "os.fork", "os.forkpty", "os.posix_spawn",
            "os.spawn", "os.startfile", "os.kill", "os.killpg", "pty.spawn", "webbrowser.open",
        ],
        _PROCESSES,
    ),
    "_thread.start_new_thread": _THREADS,
}  # fmt: skip

# Python's own reading: an import and all it runs, time zones, codecs, source lines.
_PYTHONS_OWN: Final = frozenset({
    "importlib._bootstrap", "importlib._bootstrap_external", "encodings", "linecache", "mimetypes",
    "zoneinfo", "zoneinfo._common", "zoneinfo._tzpath", "_frozen_importlib", "_frozen_importlib_external",
})  # fmt: skip


def refuse(what: str, named: str = "") -> None:
    """Raises if user code of a query or mutation is at it, and not Python itself.

    Args:
        what: the rest of "only actions may …".
        named: the function that was called, if that helps.
    """
    run = running()
    if run is None or _is_pythons_own(sys._getframe(1)):
        return
    subject = f"`{named}`: " if named else ""
    raise NotAllowed(
        f"{subject}only actions may {what}, and this is {run.what}. "
        "Do it in an action and hand what it finds to a mutation with `ctx.run_mutation`."
    )


def _is_pythons_own(frame: types.FrameType | None) -> bool:
    """Whether something Python does for itself stands between this and user code."""
    while frame is not None and not frame.f_code.co_filename.startswith(USER_FILES):
        if frame.f_globals.get("__name__") in _PYTHONS_OWN:
            return True
        frame = frame.f_back
    return False


def _audit(event: str, arguments: tuple[Any, ...]) -> None:
    what = _REFUSED.get(event)
    if what is None:
        return
    run = _current.get()
    if run is not None and run.active:
        named = "" if event == "open" else event
        if event == "open" and arguments and isinstance(arguments[0], str | bytes):
            named = f"open({arguments[0]!r})"
        refuse(what, named)


class _Environment(type(os.environ)):  # type: ignore[misc]  # the class has no public name
    """`os.environ`, closed to queries and mutations."""

    def __getitem__(self, key: str) -> str:
        refuse(_ENVIRONMENT, "os.environ")
        value: str = super().__getitem__(key)
        return value

    def __setitem__(self, key: str, value: str) -> None:
        refuse(_ENVIRONMENT, "os.environ")
        super().__setitem__(key, value)

    def __delitem__(self, key: str) -> None:
        refuse(_ENVIRONMENT, "os.environ")
        super().__delitem__(key)

    def __iter__(self) -> Iterator[str]:
        refuse(_ENVIRONMENT, "os.environ")
        return iter(super().__iter__())

    def __len__(self) -> int:
        refuse(_ENVIRONMENT, "os.environ")
        return int(super().__len__())


# -- what is replaced -----------------------------------------------------------


def install() -> None:
    """Changes Python's modules in place; a second call does nothing more.

    Every process that runs user functions calls it before it loads their modules,
    so that also libraries and `from time import time` meet the changed functions.
    """
    if not getattr(time.time, "_convexlab", False):
        _install_once()
    _install_numpy()


def _install_once() -> None:
    sys.addaudithook(_audit)
    os.environ.__class__ = _Environment
    if hasattr(os, "environb"):
        os.environb.__class__ = _Environment
    _install_time()
    _install_chance()
    _guard(time, "sleep", _WAIT)
    _guard(_thread, "start_new_thread", _THREADS)
    _guard(threading.Thread, "start", _THREADS)
    _install_logging()


def _replace(owner: Any, name: str, build: Callable[[Any], Any]) -> None:
    original = getattr(owner, name)
    replacement = functools.wraps(original, updated=())(build(original))
    replacement._convexlab = True
    setattr(owner, name, replacement)


def _guard(owner: Any, name: str, what: str) -> None:
    def build(original: Any) -> Any:
        shown = f"{getattr(owner, '__name__', owner)}.{name}"

        def guarded(*args: Any, **kwargs: Any) -> Any:
            if running() is not None:
                refuse(what, shown)
            return original(*args, **kwargs)

        return guarded

    _replace(owner, name, build)


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
            return original(size) if run is None else run.random_bytes(size)  # type: ignore[no-any-return]

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
    assert secrets.token_bytes(1) is not None


def _install_numpy() -> None:
    """The functions of `numpy.random`, once somebody has imported it."""
    module = sys.modules.get("numpy.random")
    if (
        module is None
        or getattr(module, "_convexlab", False)
        or not hasattr(module, "mtrand")
    ):
        return

    def method(name: str) -> Callable[[Any], Any]:
        def build(original: Any) -> Any:
            def seeded(*args: Any, **kwargs: Any) -> Any:
                run = running()
                target = original if run is None else getattr(run.numpy_random(), name)
                return target(*args, **kwargs)

            return seeded

        return build

    instance = module.mtrand._rand
    for name, value in list(vars(module).items()):
        if getattr(value, "__self__", None) is instance:
            _replace(module, name, method(name))
    module._convexlab = True  # type: ignore[attr-defined]


# -- print and logging ----------------------------------------------------------


class _RunLog(logging.Handler):
    """Turns records into lines of the current run."""

    def emit(self, record: logging.LogRecord) -> None:
        run = _current.get()
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


def _print(
    *values: object,
    sep: str | None = " ",
    end: str | None = "\n",
    file: Any = None,
    flush: bool = False,
) -> None:
    """The `print` of user modules: a log line of the run."""
    run = _current.get()
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


def _now(zone: real_datetime.tzinfo | None) -> real_datetime.datetime | None:
    run = running()
    if run is None:
        return None
    moment = real_datetime.datetime.fromtimestamp(
        run.read_clock() / 1000, real_datetime.UTC
    )
    return moment.replace(tzinfo=None) if zone is None else moment.astimezone(zone)


class _Datetime(real_datetime.datetime, metaclass=_Facade):
    _real = real_datetime.datetime

    def __new__(cls, *args: Any, **kwargs: Any) -> Any:
        made = real_datetime.datetime if cls is _Datetime else cls
        return real_datetime.datetime.__new__(made, *args, **kwargs)

    @classmethod
    def now(cls, tz: real_datetime.tzinfo | None = None) -> Any:
        moment = _now(tz)
        return real_datetime.datetime.now(tz) if moment is None else moment

    @classmethod
    def today(cls) -> Any:
        return cls.now()

    @classmethod
    def utcnow(cls) -> Any:
        return cls.now(real_datetime.UTC).replace(tzinfo=None)

    @classmethod
    def __get_pydantic_core_schema__(cls, source: Any, handler: Any) -> Any:
        return handler(real_datetime.datetime)


class _Date(real_datetime.date, metaclass=_Facade):
    _real = real_datetime.date

    def __new__(cls, *args: Any, **kwargs: Any) -> Any:
        made = real_datetime.date if cls is _Date else cls
        return real_datetime.date.__new__(made, *args, **kwargs)

    @classmethod
    def today(cls) -> Any:
        moment = _now(None)
        return real_datetime.date.today() if moment is None else moment.date()  # noqa: DTZ011

    @classmethod
    def __get_pydantic_core_schema__(cls, source: Any, handler: Any) -> Any:
        return handler(real_datetime.date)


def _datetime_module() -> types.ModuleType:
    module = types.ModuleType("datetime", real_datetime.__doc__)
    module.__dict__.update(
        {
            name: value
            for name, value in vars(real_datetime).items()
            if not name.startswith("__")
        }
    )
    for real, facade in (("datetime", _Datetime), ("date", _Date)):
        facade.__name__ = facade.__qualname__ = real
        facade.__module__ = "datetime"
        facade.__doc__ = getattr(real_datetime, real).__doc__
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
        _install_numpy()
        return module

    names = dict(vars(builtins))
    names.update(print=_print, __import__=import_)
    return names
