"""What `%convex WORD …` does: one function a word, options as in the shell.

What follows a function's name is one Python expression, evaluated in the
notebook: braces are dicts, names are its variables, and `true false null` are
understood.
"""

from __future__ import annotations

import difflib
import html
import inspect
import re
import shlex
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import msgspec

from convexlab.errors import InvalidArguments, NotAllowed, NotFound
from convexlab_kernel import cells, discovery, display, guess, importing
from convexlab_kernel.notebook import push

if TYPE_CHECKING:
    from collections.abc import Callable

    from convexlab_kernel.client import Database
    from convexlab_kernel.importing import Mode
    from convexlab_kernel.notebook import Notebook
    from convexlab_kernel.status import Status

LATER = {
    "logs": "print() lines appear under the cell that calls the function",
    "env": None,
    "export": "db.table(…).df() reads a table",
    "convert": None,
    "deploy": "`convexlab deploy` in a shell pushes a folder",
    "login": "set CONVEXLAB_ADMIN_KEY",
}
NAMES = {"true": True, "false": False, "null": None}


@dataclass(frozen=True, slots=True)
class Line:
    """A command's line.

    Args:
        notebook: where it was typed.
        rest: what follows the word.
        namespace: the notebook's variables.
    """

    notebook: Notebook
    rest: str
    namespace: dict[str, Any]


def run_line(notebook: Notebook, line: str, namespace: dict[str, Any]) -> Any:
    """Run what was typed after `%convex`."""
    word, _, rest = line.strip().partition(" ")
    if word in {"-h", "--help", "help"}:
        return Text(help_text(rest.strip()))
    if not word:
        return Card(notebook.database())
    if word in LATER:
        raise NotAllowed(_later(word))
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
    """%convex import FILE --table TABLE [--append | --replace] [--format F] [--deployment NAME].

    Import a .csv, .json or .jsonl file; the table must be empty unless said.
    """
    options = Options(
        line.rest,
        values=("table", "format", "deployment"),
        flags=("append", "replace", "yes"),
    )
    table = options.value("table")
    path = Path(options.one("a file")).expanduser()
    if table is None:
        raise InvalidArguments(f"Which table? %convex import {path} --table NAME.")
    if not path.is_file():
        raise NotFound(f"There is no file {path} (in {Path.cwd()}).")
    batches = importing.file_batches(path, options.value("format"))
    mode: Mode = "requireEmpty"
    if options.flag("append") or options.flag("replace"):
        mode = "append" if options.flag("append") else "replace"
    database = line.notebook.database(options.value("deployment"))
    with importing.bar(table) as bar:
        count = importing.insert(
            database.attachment, table, batches, mode=mode, progress=bar
        )
    return Text(f"{path.name} → {table}: {count:,} documents")


def use(line: Line) -> Any:
    """%convex use NAME | URL.

    Use another deployment from here on.
    """
    target = Options(line.rest).one("a deployment's name or URL")
    database = line.notebook.database(target)
    line.notebook.target = target
    return Text(f"Using {database.name} at {database.address.url}")


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
    "schema": schema,
    "remove": remove,
    "use": use,
    "open": open_,
    "stop": stop,
}


# -- reading a line ------------------------------------------------------------


def _call(line: Line) -> tuple[Database, str, dict[str, Any] | None]:
    """A line that calls a function: deployment, path, arguments."""
    rest, deployment = _without_deployment(line.rest)
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


DEPLOYMENT = re.compile(r"(?:^|\s)--deployment[ =](\S+)(?=$|\s)")


def _without_deployment(rest: str) -> tuple[str, str | None]:
    """Split `--deployment NAME` off, which stands before or after the call."""
    for found in DEPLOYMENT.finditer(rest):
        before, after = rest[: found.start()].strip(), rest[found.end() :].strip()
        if not before or not after:
            return before or after, found[1]
    return rest.strip(), None


def evaluate(expression: str, namespace: dict[str, Any]) -> Any:
    """The value of a Python expression in the notebook; `true false null` understood."""
    try:
        code = compile(expression.strip(), "<arguments>", "eval")
    except SyntaxError as error:
        message = f"`{expression.strip()}` is not a Python expression: {error.msg}."
        raise InvalidArguments(message) from None
    try:
        return eval(code, NAMES | namespace)  # noqa: S307 - the user's own expression
    except Exception as error:  # noqa: BLE001 - the user's own expression
        message = f"`{expression.strip()}`: {type(error).__name__}: {error}"
        raise InvalidArguments(message) from None


class Options:
    """A line's words and options, refused by name where they are not known.

    Args:
        rest: the line.
        values: options that take a value.
        flags: options that do not.
    """

    def __init__(
        self, rest: str, *, values: tuple[str, ...] = (), flags: tuple[str, ...] = ()
    ) -> None:
        self.words: list[str] = []
        self._values: dict[str, str] = {}
        self._flags: set[str] = set()
        words = shlex.split(rest)
        while words:
            word = words.pop(0)
            if not word.startswith("--"):
                self.words.append(word)
                continue
            name, _, value = word[2:].partition("=")
            if name in flags:
                self._flags.add(name)
            elif name not in values:
                raise InvalidArguments(_unknown_option(name, (*values, *flags)))
            elif not value and not words:
                raise InvalidArguments(f"--{name} needs a value.")
            else:
                self._values[name] = value or words.pop(0)

    def value(self, name: str) -> str | None:
        """An option's value."""
        return self._values.get(name)

    def flag(self, name: str) -> bool:
        """Whether an option is there."""
        return name in self._flags

    def number(self, name: str, default: int) -> int:
        """An option's value as a whole number."""
        text = self._values.get(name)
        if text is None:
            return default
        if not text.isdigit():
            raise InvalidArguments(f"--{name} takes a whole number, not {text!r}.")
        return int(text)

    def one(self, what: str) -> str:
        """The line's only word."""
        if len(self.words) != 1:
            said = "nothing" if not self.words else " ".join(self.words)
            raise InvalidArguments(f"This takes {what}, and got: {said}.")
        return self.words[0]


def _known_table(database: Database, name: str) -> None:
    known = list(database.tables)
    if name not in known:
        near = difflib.get_close_matches(name, known, 1)
        meant = f" Is `{near[0]}` meant?" if near else ""
        listed = ", ".join(known) or "none yet"
        raise NotFound(f"There is no table `{name}`.{meant} There are: {listed}.")


# -- words ---------------------------------------------------------------------


def help_text(word: str = "") -> str:
    """What the commands take, or one of them."""
    if word in COMMANDS:
        return inspect.getdoc(COMMANDS[word]) or ""
    lines = [
        (inspect.getdoc(command) or "").splitlines() for command in COMMANDS.values()
    ]
    return "\n".join(
        [
            "%%convex MODULE [--add] [--dry-run] [--deployment NAME]",
            "    The cell is a module; # %%convex MODULE is the same, as a comment.",
            "%convex",
            "    The status: address, tables, modules and where they came from.",
            *(f"{doc[0].rstrip('.')}\n    {doc[2]}" for doc in lines),
        ]
    )


def _later(word: str) -> str:
    instead = LATER[word]
    advice = f" Meanwhile: {instead}." if instead else ""
    return f"`%convex {word}` is not in this release.{advice}"


def _unknown(word: str) -> str:
    near = difflib.get_close_matches(word, [*COMMANDS, "help"], 1, 0.5)
    meant = f" Is `{near[0]}` meant?" if near else ""
    return (
        f"%convex does not know `{word}`.{meant} It knows: {', '.join(COMMANDS)}, help."
    )


def _unknown_option(name: str, known: tuple[str, ...]) -> str:
    near = difflib.get_close_matches(name, known, 1, 0.5)
    meant = f" Is --{near[0]} meant?" if near else ""
    listed = ", ".join(f"--{one}" for one in known) or "no options"
    return f"--{name} is not known here.{meant} This takes {listed}."


class Text:
    """What a command has to say, shown as it is."""

    def __init__(self, text: str) -> None:
        self._text = text

    def __repr__(self) -> str:
        return self._text


# -- the status ----------------------------------------------------------------


def greeting(notebook: Notebook) -> str:
    """What `%load_ext` says: where the deployment is and what is in it."""
    database = notebook.database()
    status = database.status()
    where = database.address.folder or database.address.url
    return (
        f"convexlab: {database.name} ({where}) · "
        f"{display.counted(len(status.tables), 'tables')} · "
        f"{display.counted(len(status.modules), 'modules')}"
    )


class Card:
    """The status card of a deployment."""

    def __init__(self, database: Database) -> None:
        self._address = database.address
        self._status: Status = database.status()

    def _facts(self) -> list[tuple[str, str]]:
        address, status = self._address, self._status
        facts = [
            ("deployment", address.name),
            ("address for clients", address.client_url),
        ]
        if address.secret:
            facts.append(
                ("through Jupyter", f"<Jupyter's address>/convex/c/{address.secret}")
            )
        if address.folder is not None:
            facts.append(("folder", str(address.folder)))
        if status.version:
            facts.append(("version", status.version))
        return facts

    def _tables(self) -> list[tuple[str, str]]:
        return [
            (
                table.name,
                "" if table.count is None else display.shown(table.count, None),
            )
            for table in self._status.tables
        ]

    def _modules(self) -> list[tuple[str, str, str]]:
        return [
            (
                module.path,
                ", ".join(
                    f"{kind} {name}".strip() for kind, name in module.described()
                ),
                "" if module.origin is None else str(module.origin),
            )
            for module in self._status.modules
        ]

    def _repr_html_(self) -> str:
        modules = "".join(
            f"<tr>{''.join(f'{display.CELL}{html.escape(cell)}</td>' for cell in row)}</tr>"
            for row in self._modules()
        )
        tables = display.card_html(self._tables()) if self._tables() else ""
        listed = f"{display.TABLE}<tbody>{modules}</tbody></table>" if modules else ""
        return (
            f"{display.card_html(self._facts())}"
            f"{display.NOTE}Tables: {len(self._status.tables)}</div>{tables}"
            f"{display.NOTE}Modules: {len(self._status.modules)}</div>{listed}"
        )

    def __repr__(self) -> str:
        lines = [f"{name}: {value}" for name, value in self._facts()]
        lines += [f"table {name}: {count}" for name, count in self._tables()]
        lines += [
            f"module {path}: {functions or 'no functions'}"
            + (f" ← {origin}" if origin else "")
            for path, functions, origin in self._modules()
        ]
        return "\n".join(lines)


# -- completion ----------------------------------------------------------------


def matcher(notebook: Notebook) -> Any:
    """A completer of `%convex` lines for IPython: words, functions, tables."""
    from IPython.core.completer import SimpleCompletion, context_matcher

    @context_matcher()  # type: ignore[untyped-decorator]  # IPython is untyped
    def convex_matcher(context: Any) -> dict[str, Any]:
        line = context.full_text.split("\n")[context.cursor_line][
            : context.cursor_position
        ]
        words = candidates(notebook, line)
        token = line.rpartition(" ")[2]
        found = [word for word in words if word.startswith(token)]
        # IPython replaces its own token, which begins after a colon or a slash.
        shorter = (
            len(token) - len(context.token) if token.endswith(context.token) else 0
        )
        return {
            "completions": [
                SimpleCompletion(word[shorter:], type="param") for word in found
            ],
            "suppress": bool(found),
        }

    convex_matcher.notebook = notebook
    return convex_matcher


def candidates(notebook: Notebook, line: str) -> list[str]:
    """What may stand at the end of a line, with the names of the live deployment."""
    words = line.lstrip("# ").split(" ")
    if words[0] == "%%convex":
        names = [module.path for module in _quiet_status(notebook)]
        return [*cells.FLAGS[:3], *names, "schema"]
    if words[0] != "%convex":
        return []
    if len(words) == 2:
        return [*COMMANDS, "help"]
    if words[1] in {"run", "watch"} and len(words) == 3:
        return [
            f"{module.path}:{name}"
            for module in _quiet_status(notebook)
            for _, name in module.described()
        ]
    if words[1] == "data" and len(words) == 3:
        return _quiet_tables(notebook)
    return []


def _quiet_status(notebook: Notebook) -> list[Any]:
    try:
        return notebook.database().status().modules
    except Exception:  # noqa: BLE001 - completion never disturbs typing
        return []


def _quiet_tables(notebook: Notebook) -> list[str]:
    try:
        return list(notebook.database().tables)
    except Exception:  # noqa: BLE001 - completion never disturbs typing
        return []
