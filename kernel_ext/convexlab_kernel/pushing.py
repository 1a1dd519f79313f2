"""Pushing: modules that are sent to a deployment, and what is said of it.

Refused, a push changes nothing, and says where: `PushFailed`, with path and line.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import msgspec

from convexlab.errors import NotFound, PushFailed
from convexlab_kernel import cells
from convexlab_kernel.status import described

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from convexlab_kernel.cells import Header, Part
    from convexlab_kernel.client import Database
    from convexlab_kernel.status import ModuleStatus


class PushError(msgspec.Struct, frozen=True):
    """Why a push was refused."""

    message: str
    code: str = ""
    path: str | None = None
    line: int | None = None
    traceback: str | None = None


class PushAnswer(msgspec.Struct, frozen=True):
    """What the deployment says of a push."""

    status: str
    functions: list[Any] = []
    warnings: list[str] = []
    changed: list[str] = []
    tables: list[Any] = []
    error: PushError | None = None


class Module(msgspec.Struct, frozen=True):
    """A module as the deployment keeps it."""

    path: str
    source: str | None = None
    origin: dict[str, Any] | None = None


def push(
    database: Database,
    modules: Sequence[dict[str, Any]],
    *,
    mode: str = "merge",
    remove: Sequence[str] = (),
    dry_run: bool = False,
) -> PushAnswer:
    """Push modules; PushFailed with path and line where they are refused."""
    body = msgspec.json.encode(
        {"modules": modules, "mode": mode, "remove": list(remove), "dryRun": dry_run}
    )
    raw = database.attachment.post("/api/convexlab/push", body)
    answer = msgspec.json.decode(raw, type=PushAnswer)
    if answer.error is not None:
        error = answer.error
        raise PushFailed(
            _sentence(error.message),
            path=error.path,
            line=error.line,
            traceback=error.traceback,
        )
    return answer


def _sentence(message: str) -> str:
    """What is wrong; where it is stands beside it, also for Python's own refusals."""
    lines = message.strip().splitlines()
    own = bool(lines) and lines[0].lstrip().startswith('File "')
    return lines[-1] if own else message


def kept(database: Database, path: str) -> list[Part]:
    """The parts of a module that another kernel pushed."""
    module = deployed(database, path)
    if module is None or module.source is None:
        return []
    return cells.split_parts(module.source, (module.origin or {}).get("parts") or [])


def deployed(database: Database, path: str) -> Module | None:
    """A module with its source; None where there is none."""
    try:
        return database.attachment.get(f"/api/convexlab/module?path={path}", Module)
    except NotFound:
        return None


def concerning(module: str, warnings: Iterable[str]) -> list[str]:
    """The warnings of a push that are about one module: of its lines, or of its functions.

    A push tells of every reference that leads nowhere, wherever it is. Those of other
    modules were told when these were pushed, unless it is this push that broke them.
    """
    about = (f"{module}.py:", f"there is no `{module}:")
    return [each for each in warnings if each.startswith(about[0]) or about[1] in each]


def said(
    header: Header, deployment: str, answer: PushAnswer, before: ModuleStatus | None
) -> str:
    """What a cell says of a push: its module, where it went, and what is in it."""
    arrow = "checked against" if header.dry_run else "→"
    if header.module == "schema":
        return f"schema {arrow} {deployment}: {_tables(answer)}"
    functions = _of_module(answer.functions, header.module)
    kinds: dict[str, list[str]] = {}
    for kind, name in functions:
        kinds.setdefault(kind, []).append(name)
    listed = " · ".join(
        f"{kind} {', '.join(names)}".strip() for kind, names in kinds.items()
    )
    text = f"{header.module} {arrow} {deployment}: {listed or 'no functions'}"
    gone = [] if before is None or header.dry_run else _gone(before, functions)
    return f"{text}\nNo longer there: {', '.join(gone)}" if gone else text


def _tables(answer: PushAnswer) -> str:
    names = [t if isinstance(t, str) else str(t.get("name", "")) for t in answer.tables]
    return f"tables {', '.join(names)}" if names else "no tables"


def _of_module(functions: list[Any], module: str) -> list[tuple[str, str]]:
    return [described(f) for f in functions if _module_of(f) in {module, None}]


def _module_of(function: Any) -> str | None:
    path = (
        function if isinstance(function, str) else str(function.get("identifier", ""))
    )
    return path.rpartition(":")[0].removesuffix(".js").removesuffix(".py") or None


def _gone(before: ModuleStatus, functions: list[tuple[str, str]]) -> list[str]:
    now = {name for _, name in functions}
    return [name for _, name in before.described() if name not in now]
