"""What `%convex WORD …` does: one function a word, options as in the shell.

What follows a function's name is one Python expression, evaluated in the
notebook: braces are dicts, names are its variables, and `true false null` are
understood.
"""

from __future__ import annotations

import difflib
import inspect
import os
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING, Any, cast

import msgspec

from convexlab.errors import InvalidArguments, NotFound
from convexlab_kernel import cells, discovery, display, env_line, guess, shipping
from convexlab_kernel.card import Card, addresses
from convexlab_kernel.environment import Environment
from convexlab_kernel.line import Line, Text
from convexlab_kernel.logs import Filters, Log, shown
from convexlab_kernel.options import Options, evaluate, without_deployment
from convexlab_kernel.pushing import push
from convexlab_kernel.transferring import Source, export_all, import_file

if TYPE_CHECKING:
    from collections.abc import Callable

    from convexlab_kernel.client import Database
    from convexlab_kernel.notebook import Notebook
    from convexlab_kernel.transferring import Mode

_LOG_FILTERS = ("function", "kind", "level", "text", "request")


def run_line(notebook: Notebook, line: str, namespace: dict[str, Any]) -> Any:
    """Run what was typed after `%convex`."""
    word, _, rest = line.strip().partition(" ")
    if word in {"-h", "--help", "help"}:
        return Text(help_text(rest.strip()))
    if not word:
        return Card(notebook.database())
    command = COMMANDS.get(word)
    if command is None:
        raise NotFound(_unknown(word))
    if rest.strip() in {"-h", "--help"}:
        return Text(help_text(word))
    return command(Line(notebook, rest.strip(), namespace))


# -- the commands --------------------------------------------------------------


def run(line: Line) -> Any:
    """%convex run FUNCTION [ARGUMENTS] [--deployment NAME].

    Run a function and give its value: rows = %convex run tasks:list {"limit": n}
    """
    database, path, arguments = _call(line)
    return database.run(path, arguments)


def watch(line: Line) -> Any:
    """%convex watch QUERY [ARGUMENTS] [--deployment NAME].

    Follow a query: a live result.
    """
    database, path, arguments = _call(line)
    return database.watch(path, arguments)


def data(line: Line) -> Any:
    """%convex data [TABLE] [--limit N] [--order asc|desc] [--deployment NAME].

    The tables, or a table's newest documents.
    """
    options = Options(line.rest, values=("limit", "order", "deployment"))
    database = line.notebook.database(options.value("deployment"))
    if not options.words:
        return database.tables
    name = options.one("a table")
    _known_table(database, name)
    limit = options.number("limit", 100)
    return database.table(name).take(limit, order=options.value("order") or "desc")


def import_(line: Line) -> Any:
    """%convex import FILE [--table TABLE] [--append | --replace | --replace-all] [--format F] [--deployment NAME].

    Import a .zip, .csv, .json or .jsonl file; its tables must be empty unless said.
    """
    options = Options(
        line.rest,
        values=("table", "format", "deployment"),
        flags=("append", "replace", "replace-all", "yes"),
    )
    path = Path(options.one("a file")).expanduser()
    source = Source.of(path, options.value("table"), options.value("format"))
    flags = {"append": "append", "replace": "replace", "replace-all": "replaceAll"}
    modes = [mode for flag, mode in flags.items() if options.flag(flag)]
    if len(modes) > 1:
        raise InvalidArguments("--append, --replace or --replace-all: say one.")
    database = line.notebook.database(options.value("deployment"))
    mode = cast("Mode", modes[0] if modes else "requireEmpty")
    if not modes and source.table is not None:
        _check_empty(database, source.table)
    count = import_file(database, source, mode=mode)
    return Text(f"{path.name} → {source.table or database.name}: {count:,} documents")


def export(line: Line) -> Any:
    """%convex export [PATH] [--include-file-storage] [--deployment NAME].

    Write all data to a ZIP at PATH, or in the folder PATH (the notebook's).
    """
    options = Options(
        line.rest, values=("deployment",), flags=("include-file-storage",)
    )
    path = Path(options.one("a path") if options.words else ".").expanduser()
    database = line.notebook.database(options.value("deployment"))
    target = export_all(database, path, files=options.flag("include-file-storage"))
    return Text(f"{database.name} → {target}: {target.stat().st_size:,} bytes")


def logs(line: Line) -> Any:
    """%convex logs [--follow] [--history N] [--success] [--function PATH] [--kind K] [--level L] [--text T] [--request ID] [--failed] [--deployment NAME].

    What functions printed and how they failed, the newest (100); --follow goes on until the cell is interrupted.
    """
    options = Options(
        line.rest,
        values=(*_LOG_FILTERS, "history", "deployment"),
        flags=("follow", "success", "failed"),
    )
    database = line.notebook.database(options.value("deployment"))
    said = {name: options.value(name) or "" for name in _LOG_FILTERS}
    filters = Filters(**said, failed=options.flag("failed"))
    log, success = Log(database.attachment, filters), options.flag("success")
    found = [
        lines for entry in log.newest() if (lines := shown(entry, success=success))
    ]
    most = options.number("history", 100)
    before = "\n".join("\n".join(lines) for lines in found[max(0, len(found) - most) :])
    if not options.flag("follow"):
        return Text(before or "Nothing was printed, and nothing failed.")
    if before:
        print(before)  # noqa: T201 - the cell's output
    with suppress(KeyboardInterrupt):
        for entry in log.follow():
            for text in shown(entry, success=success):
                print(text, flush=True)  # noqa: T201 - the cell's output
    return None


def use(line: Line) -> Any:
    """%convex use [NAME | URL].

    Use another deployment from here on; alone: which there are.
    """
    options = Options(line.rest)
    if not options.words:
        return Text(_deployments(line.notebook.target))
    target = options.one("a deployment's name or URL")
    database = line.notebook.database(target)
    line.notebook.target = target
    said = f"Using {database.name} at {database.address.url}"
    if database.address.folder is None and not discovery.answers(database.address):
        said += "\nNobody answers there just now."
    return Text(said)


def url(line: Line) -> Any:
    """%convex url [--deployment NAME].

    The addresses for clients, with the secret that lets them in: clear this output before you share the notebook.
    """
    options = Options(line.rest, values=("deployment",))
    if options.words:
        raise InvalidArguments(f"This takes no words, and got: {line.rest}.")
    address = line.notebook.database(options.value("deployment")).address
    told = addresses(address, address.secret)
    return Text("\n".join(f"{name}: {value}" for name, value in told))


def stop(line: Line) -> Any:
    """%convex stop [--deployment NAME].

    End the local deployment; its data stays, and whoever needs it starts it again.
    """
    options = Options(line.rest, values=("deployment",))
    place = discovery.locate(options.value("deployment") or line.notebook.target)
    address = discovery.read_address(place) if isinstance(place, Path) else place
    if address is None:
        raise NotFound(f"The deployment in {place} is not running.")
    discovery.stop(address)
    return Text(f"{address.name} has stopped; its data stays in {address.folder}")


def open_(line: Line) -> Any:
    """%convex open ORIGIN… [--deployment NAME].

    Let pages of these origins in without the secret path: http://localhost:5173
    """
    options = Options(line.rest, values=("deployment",))
    if not options.words:
        raise InvalidArguments("Name an origin: %convex open http://localhost:5173.")
    database = line.notebook.database(options.value("deployment"))
    body = msgspec.json.encode({"origins": options.words})
    database.attachment.need_admin("Opening a deployment")
    database.attachment.post("/api/convexlab/origins", body)
    return Text(f"{database.name} lets in: {', '.join(options.words)}")


def env(line: Line) -> Any:
    """%convex env list | get NAME | set NAME [VALUE] | set --from-file FILE [--force] | remove NAME… [--deployment NAME].

    The variables that actions find in `os.environ`; a value that is not said is asked for, so that it is not in the notebook.
    """
    options = Options(line.rest, values=("from-file", "deployment"), flags=("force",))
    database = line.notebook.database(options.value("deployment"))
    return Text(env_line.answer(Environment(database), options))


def schema(line: Line) -> Any:
    """%convex schema [TABLE…] [--deployment NAME].

    A schema that fits the documents there are, as a cell to start from.
    """
    options = Options(line.rest, values=("deployment",))
    database = line.notebook.database(options.value("deployment"))
    names = options.words or list(database.tables)
    documents = {name: database.table(name).take(guess.SAMPLE) for name in names}
    return Text(guess.schema_cell(documents))


def remove(line: Line) -> Any:
    """%convex remove MODULE [--deployment NAME].

    Take a module and its functions out of the deployment.
    """
    options = Options(line.rest, values=("deployment",))
    path = cells.module_path(options.one("a module"))
    database = line.notebook.database(options.value("deployment"))
    status = database.status()
    if status.module(path) is None:
        known = ", ".join(module.path for module in status.modules) or "none"
        raise NotFound(f"There is no module `{path}`. There are: {known}.")
    push(database, [], remove=[path])
    return Text(f"{path} is no longer in {database.name}")


COMMANDS: dict[str, Callable[[Line], Any]] = {
    "run": run,
    "watch": watch,
    "data": data,
    "import": import_,
    "export": export,
    "env": env,
    "logs": logs,
    "schema": schema,
    "remove": remove,
    "convert": shipping.convert,
    "deploy": shipping.deploy,
    "login": shipping.login,
    "use": use,
    "open": open_,
    "url": url,
    "stop": stop,
}


# -- reading a line ------------------------------------------------------------


def _call(line: Line) -> tuple[Database, str, dict[str, Any] | None]:
    """A line that calls a function: deployment, path, arguments."""
    rest, deployment = without_deployment(line.rest)
    path, _, expression = rest.partition(" ")
    if not path:
        raise InvalidArguments('Name a function: %convex run tasks:list {"limit": 10}.')
    arguments = evaluate(expression, line.namespace) if expression.strip() else None
    if arguments is not None and not isinstance(arguments, dict):
        message = (
            f"A function's arguments are one dict, and `{expression.strip()}` is a "
            f"{type(arguments).__name__}."
        )
        raise InvalidArguments(message)
    return line.notebook.database(deployment), path, arguments


def _deployments(target: str | None) -> str:
    used = target or os.environ.get("CONVEXLAB_URL") or discovery.DEFAULT_NAME
    # N.B. outputs are saved with the notebook: no secret path in them.
    known = {
        name: where.partition("/c/")[0] for name, where in discovery.known().items()
    }
    if used not in known:
        known[used] = used
    return "\n".join(
        f"{'*' if name == used else ' '} {name}: {where}"
        for name, where in known.items()
    )


def _known_table(database: Database, name: str) -> None:
    known = list(database.tables)
    if name not in known:
        near = difflib.get_close_matches(name, known, 1)
        meant = f" Is `{near[0]}` meant?" if near else ""
        listed = ", ".join(known) or "none yet"
        raise NotFound(f"There is no table `{name}`.{meant} There are: {listed}.")


def _check_empty(database: Database, name: str) -> None:
    """What the deployment refuses, too, but in words of its own."""
    table = next((t for t in database.status().tables if t.name == name), None)
    if table is not None and table.count:
        raise InvalidArguments(
            f"`{name}` has {display.counted(table.count, 'documents')}: --append adds to "
            "them, --replace puts these rows in their place."
        )


# -- words ---------------------------------------------------------------------


def help_text(word: str = "") -> str:
    """What the commands take, or one of them."""
    if word in COMMANDS:
        usage, about = _help_of(word)
        return f"{usage}\n\n{about}"
    lines = map(_help_of, COMMANDS)
    return "\n".join(
        [
            "%%convex MODULE [--add] [--dry-run] [--deployment NAME]",
            "    The cell is a module; # %%convex MODULE is the same, as a comment.",
            "%convex",
            "    The status: address, tables, modules and where they came from.",
            *(f"{usage}\n    {about}" for usage, about in lines),
        ]
    )


def _help_of(word: str) -> tuple[str, str]:
    """How a command is written, and what it does: its docstring's two parts."""
    usage, _, about = (inspect.getdoc(COMMANDS[word]) or "").partition("\n\n")
    return usage.rstrip("."), about


def _unknown(word: str) -> str:
    near = difflib.get_close_matches(word, [*COMMANDS, "help"], 1)
    meant = f" Is `{near[0]}` meant?" if near else ""
    return (
        f"%convex does not know `{word}`.{meant} It knows: {', '.join(COMMANDS)}, help."
    )
