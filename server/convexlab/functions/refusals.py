"""Refusals: what a query, a mutation or a module's top level may not do, and why.

Python tells an audit hook of files, sockets and processes; what raises no event
(waiting, threads, the environment, signals) asks here from replaced functions. A
refusal names what the user called, the rule, and what to do instead:

    `requests.get`: only actions may open sockets, and this is a query. Do it in an
    action and hand what it finds to a mutation with `ctx.run_mutation`.

This keeps honest code honest; it is no wall against code that wants out. What Python
itself reads for its own needs (imports, time zones, codecs, source lines) stays
allowed, and so does what a library looks up in the environment.
"""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING, Any, Final
from zoneinfo import TZPATH

from convexlab.errors import NotAllowed
from convexlab.functions.determinism import LOADING, USER_FILES, current, running

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from types import FrameType

# What only actions may do, in these words.
OPEN_FILES: Final = "open files"
CHANGE_FILES: Final = "look at or change files"
SOCKETS: Final = "open sockets"
PROCESSES: Final = "start processes"
THREADS: Final = "start threads"
WAIT: Final = "wait"
ENVIRONMENT: Final = "read the environment"
SIGNALS: Final = "send or handle signals"
TERMINAL: Final = "ask at a terminal"
BREAKPOINTS: Final = "stop at a breakpoint"
LIBRARIES: Final = "load libraries"
END: Final = "end their process"
LATER: Final = "leave something for their process's end"

_IN_AN_ACTION: Final = (
    "Do it in an action and hand what it finds to a mutation with `ctx.run_mutation`."
)
_KEEP: Final = (
    "Data is kept in documents, and files in `ctx.storage`; what is outside, an action "
    "reads and hands to a mutation with `ctx.run_mutation`."
)
_LOG: Final = "What `print` and `logging` say is in the function's log."
_LATER: Final = "To go on later, let a mutation call `ctx.scheduler.run_after`."

# What to do instead.
_ADVICE: Final[dict[str, str]] = {
    OPEN_FILES: _KEEP,
    CHANGE_FILES: _KEEP,
    THREADS: "What takes long is an action's work; this ends within a second.",
    WAIT: _LATER,
    ENVIRONMENT: "Let an action read it, and pass it as an argument.",
    SIGNALS: _LATER,
    TERMINAL: "Pass it as an argument.",
    BREAKPOINTS: f"{_LOG} In tests, `convexlab.testing` runs functions in your process.",
    LATER: _LATER,
    END: "To stop here, return, or raise `ConvexError`.",
}

_REFUSED: Final[dict[str, str]] = {
    "open": OPEN_FILES,
    "mmap.__new__": OPEN_FILES,
    "sqlite3.connect": OPEN_FILES,
    "builtins.input": TERMINAL,
    "builtins.breakpoint": BREAKPOINTS,
    "sys.settrace": BREAKPOINTS,
    "ctypes.dlopen": LIBRARIES,
    "os.putenv": ENVIRONMENT,
    "os.unsetenv": ENVIRONMENT,
    "pathlib.Path.glob": CHANGE_FILES,
    "pathlib.Path.rglob": CHANGE_FILES,
    **dict.fromkeys(
        [
            "os.chdir", "os.chflags", "os.chmod", "os.chown", "os.fwalk", "os.link", "os.listdir",
            "os.listxattr", "os.lockf", "os.mkdir", "os.remove", "os.removexattr", "os.rename",
            "os.rmdir", "os.scandir", "os.setxattr", "os.symlink", "os.truncate", "os.utime", "os.walk",
            "glob.glob", "glob.glob/2", "shutil.copyfile", "shutil.copytree", "shutil.move",
            "shutil.rmtree", "shutil.make_archive", "shutil.unpack_archive",
            "tempfile.mkdtemp", "tempfile.mkstemp",
        ],
        CHANGE_FILES,
    ),
    **dict.fromkeys(
        [
            "socket.__new__", "socket.bind", "socket.connect", "socket.getaddrinfo",
            "socket.gethostbyaddr", "socket.gethostbyname", "socket.gethostname",
            "socket.getnameinfo", "socket.sendmsg", "socket.sendto", "http.client.connect",
            "urllib.Request", "smtplib.connect", "ftplib.connect",
        ],
        SOCKETS,
    ),
    **dict.fromkeys(
        [
            "subprocess.Popen", "os.system", "os.exec", "os.fork", "os.forkpty", "os.posix_spawn",
            "os.spawn", "os.startfile", "pty.spawn", "webbrowser.open",
        ],
        PROCESSES,
    ),
    "os.kill": SIGNALS,
    "os.killpg": SIGNALS,
    "_thread.start_new_thread": THREADS,
}  # fmt: skip

# What is meant by a call into these modules, or into all of a package (`asyncio.`),
# whatever they touch first on the way.
_MEANT: Final[dict[str, str]] = {
    "asyncio.": WAIT,
    "concurrent.futures.process": PROCESSES,
    "concurrent.futures.thread": THREADS,
    "getpass": TERMINAL,
    "logging": OPEN_FILES,
    "multiprocessing.": PROCESSES,
    "pdb": BREAKPOINTS,
    "subprocess": PROCESSES,
    "tempfile": CHANGE_FILES,
    "urllib.request": SOCKETS,
    "webbrowser": PROCESSES,
}

# How users write what is defined there.
_WRITTEN_SO: Final = {"genericpath": "os.path", "posixpath": "os.path"}

# Python's own reading: an import and all it runs, time zones, codecs, source lines.
_PYTHONS_OWN: Final = frozenset({
    "importlib._bootstrap", "importlib._bootstrap_external", "encodings", "linecache", "mimetypes",
    "importlib.metadata", "inspect", "zoneinfo", "zoneinfo._common", "zoneinfo._tzpath",
})  # fmt: skip


def refuse(what: str, named: str = "") -> None:
    """Raises if user code of a query or mutation is at it, and not Python itself.

    Args:
        what: the rest of "only actions may …".
        named: what was called, if no Python function was.

    Raises:
        NotAllowed: names what the user called, the rule and what to do instead.
    """
    run = running()
    if run is None:
        return
    frames = list(_frames(sys._getframe(1)))  # noqa: SLF001 - the only way to see who asks
    if any(_module_of(frame) in _PYTHONS_OWN for frame in frames):
        return
    what = next(filter(None, map(_meant_by, frames)), what)
    named = _called(frames, named)
    subject = f"`{named}`: " if named else ""
    raise NotAllowed(
        f"{subject}only actions may {what}, and this is {run.what}. "
        f"{_advice(what, run.what)}"
    )


def refuse_to_users(what: str, named: str = "") -> None:
    """As `refuse`, but what a library does there for itself is its affair."""
    if running() is not None and _is_asked_by_user(sys._getframe(1)):  # noqa: SLF001
        refuse(what, named)


def audit(
    event: str,
    arguments: tuple[Any, ...],
    meaning: Callable[[str], str | None] = _REFUSED.get,
) -> None:
    """The audit hook: Python tells it of files, sockets and processes."""
    # N.B. as the interpreter ends, this module's names are gone before the hook is.
    what = meaning(event)
    if what is None:
        return
    run = current()
    if run is None or not run.active:
        return
    named = event
    if event == "open":
        name = arguments[0]
        is_named = isinstance(name, str | bytes)
        # N.B. the C half of zoneinfo has no frame.
        if is_named and str(name).startswith(TZPATH):
            return
        named = f"open({name!r})" if is_named else "open"
    elif event.startswith("builtins."):
        named = event.removeprefix("builtins.")
    refuse(what, named)


def _advice(what: str, whose: str) -> str:
    if whose == LOADING:
        return "Do it inside an action, when that runs."
    return _ADVICE.get(what, _IN_AN_ACTION)


# -- who asks -------------------------------------------------------------------------


def _frames(frame: FrameType | None) -> Iterator[FrameType]:
    """The frames between what happens and the user's module, ours left out."""
    while frame is not None and not _is_users(frame):
        if not _module_of(frame).startswith("convexlab."):
            yield frame
        frame = frame.f_back


def _is_users(frame: FrameType) -> bool:
    return frame.f_code.co_filename.startswith(USER_FILES)


def _module_of(frame: FrameType) -> str:
    return str(frame.f_globals.get("__name__"))


def _meant_by(frame: FrameType) -> str | None:
    module = _module_of(frame)
    return _MEANT.get(module) or _MEANT.get(module.partition(".")[0] + ".")


def _called(frames: list[FrameType], named: str) -> str:
    """What the user called to come here, as users write it: `requests.get`.

    Args:
        frames: from what happens up to the user's module.
        named: what happens, which is what was called if nothing is between.
    """
    if not frames:
        return named
    module, name = _module_of(frames[-1]), frames[-1].f_code.co_qualname
    if module in _WRITTEN_SO:
        return f"{_WRITTEN_SO[module]}.{name}"
    if name.startswith("_") or "<" in name or module == "collections.abc":
        return named  # it says more than the name of what is between
    name = name.replace("PathBase.", "Path.", 1)  # so it is defined in Python 3.13
    parts = module.split(".")
    prefixes = [".".join(parts[:n]) for n in range(1, len(parts))] or [module]
    for prefix in prefixes:
        if hasattr(sys.modules.get(prefix), name.partition(".")[0]):
            return f"{prefix}.{name.removesuffix('.__init__')}"
    return parts[0] if "." in name else f"{module}.{name}"


def _is_asked_by_user(frame: FrameType | None) -> bool:
    """Whether a user module asks, itself or by way of Python's own modules."""
    while frame is not None and not _is_users(frame):
        package = _module_of(frame).partition(".")[0]
        if package != "convexlab" and package not in sys.stdlib_module_names:
            return False
        frame = frame.f_back
    return frame is not None
