"""Determinism: while a query or mutation runs, time stands still and chance is seeded.

One `Run` is current while user code runs, `None` otherwise. What Python offers
for time, chance and the outside world asks for the current run:

    time, datetime, date     the run's `now_ms`
    random, numpy.random     a generator from the run's seed
    uuid, secrets, urandom   a stream of bytes from the same seed
    files, sockets, processes   refused, by an audit hook
    sleep, threads, environment refused, by replaced functions (they raise no event)
    print, logging           a log line of the run

`replacements` is where they ask; here is what a run is, and what it refuses.

This keeps honest code honest; it is no wall against code that wants out. What
Python itself reads for its own needs (imports, time zones, codecs) stays allowed.

Invariants
    D1  Two runs with the same seed and time see the same times and the same chance.
    D2  Nothing here is in force while the engine works on a run's behalf (`active`).
"""

from __future__ import annotations

import contextlib
import hashlib
import random
import sys
from contextvars import ContextVar
from typing import TYPE_CHECKING, Any, Final
from zoneinfo import TZPATH

from convexlab.errors import NotAllowed
from convexlab.functions.run_log import LogLines

if TYPE_CHECKING:
    import types
    from collections.abc import Iterator

USER_FILES: Final = "convex/"
"""What the file names of user modules begin with, in code objects and tracebacks."""

USER_PACKAGE: Final = "convex_modules"
"""What user modules are in, in `sys.modules` and for loggers: a name nothing else has."""


LOADING: Final = "a module's top level"
"""How refusals name a run that loads a module."""


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
            from numpy.random import RandomState

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
THREADS: Final = "start threads"
WAIT: Final = "wait"
ENVIRONMENT: Final = "read the environment"

_REFUSED: Final[dict[str, str]] = {
    "open": _OPEN_FILES,
    "mmap.__new__": _OPEN_FILES,
    "sqlite3.connect": _OPEN_FILES,
    "builtins.input": "ask at a terminal",
    "sys.breakpointhook": "stop at a breakpoint",
    "ctypes.dlopen": "load libraries",
    "os.putenv": ENVIRONMENT,
    "os.unsetenv": ENVIRONMENT,
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
    "_thread.start_new_thread": THREADS,
}  # fmt: skip

# Python's own reading: an import and all it runs, time zones, codecs, source lines.
_PYTHONS_OWN: Final = frozenset({
    "importlib._bootstrap", "importlib._bootstrap_external", "encodings", "linecache", "mimetypes",
    "importlib.metadata", "zoneinfo", "zoneinfo._common", "zoneinfo._tzpath",
})  # fmt: skip


def refuse(what: str, named: str = "") -> None:
    """Raises if user code of a query or mutation is at it, and not Python itself.

    Args:
        what: the rest of "only actions may …".
        named: the function that was called, if that helps.
    """
    run = running()
    if run is None or _is_pythons_own(sys._getframe(1)):  # noqa: SLF001 - the only way to see who asks
        return
    subject = f"`{named}`: " if named else ""
    raise NotAllowed(
        f"{subject}only actions may {what}, and this is {run.what}. "
        "Do it in an action and hand what it finds to a mutation with `ctx.run_mutation`."
    )


def refuse_environment() -> None:
    """Refuses `os.environ` to user code; what a library looks up there is its affair."""
    if running() is not None and _is_asked_by_user(sys._getframe(1)):  # noqa: SLF001
        refuse(ENVIRONMENT, "os.environ")


def _is_asked_by_user(frame: types.FrameType | None) -> bool:
    """Whether a user module asks, itself or by way of Python's own modules."""
    while frame is not None and not frame.f_code.co_filename.startswith(USER_FILES):
        package = str(frame.f_globals.get("__name__")).partition(".")[0]
        if package != "convexlab" and package not in sys.stdlib_module_names:
            return False
        frame = frame.f_back
    return frame is not None


def _is_pythons_own(frame: types.FrameType | None) -> bool:
    """Whether something Python does for itself stands between this and user code."""
    while frame is not None and not frame.f_code.co_filename.startswith(USER_FILES):
        if frame.f_globals.get("__name__") in _PYTHONS_OWN:
            return True
        frame = frame.f_back
    return False


def audit(event: str, arguments: tuple[Any, ...]) -> None:
    """The audit hook: Python tells it of files, sockets and processes."""
    what = _REFUSED.get(event)
    if what is None:
        return
    run = _current.get()
    if run is not None and run.active:
        named = "" if event == "open" else event
        if event == "open" and isinstance(arguments[0], str | bytes):
            if str(arguments[0]).startswith(
                TZPATH
            ):  # the C half of zoneinfo has no frame
                return
            named = f"open({arguments[0]!r})"
        refuse(what, named)
