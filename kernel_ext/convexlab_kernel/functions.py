"""`db.functions`: what a deployment's functions take, give and say of themselves.

db.functions                         all of them, by module
db.functions["tasks:create"]         one: .signature .doc .args .kind, to be called
db.tasks.create?                     IPython's help, as of any Python function
"""

from __future__ import annotations

import html
import inspect
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property
from itertools import groupby
from typing import TYPE_CHECKING, Any

from convexlab.errors import NotAllowed, NotFound
from convexlab_kernel import display
from convexlab_kernel.meant import near_path
from convexlab_kernel.spelling import signature_of, spelled

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from convexlab_kernel.status import Status

LIST = "_system/frontend/browseFunctions:default"
# Lines that a notebook keeps: half of what it may of any value.
LISTED = 100


class UnknownFunction(NotFound, KeyError):
    """There is no function of this path."""

    def __str__(self) -> str:
        return str(self.args[0])  # KeyError's would be quoted


@dataclass(frozen=True, slots=True)
class _Told:
    """What the deployment says of a function."""

    path: str
    kind: str
    is_public: bool
    args: dict[str, Any]
    returns: dict[str, Any]
    doc: str | None


class Function:
    """A function of a deployment: what it takes, gives and says of itself.

    Args:
        told: what the deployment says of it.
        origin: the notebook and cell, or the file, that it came from.
        run: what runs it.

    Attributes:
        path: as clients name it, `tasks:create`.
        kind: `query`, `mutation`, `action`, the same after `internal`, or `http`.
        doc: its docstring.
    """

    def __init__(self, told: _Told, origin: str, run: Callable[..., Any]) -> None:
        self.path = told.path
        self.kind = told.kind if told.is_public else f"internal {told.kind}"
        self.doc = told.doc
        self.origin = origin
        self._told = told
        self._run = run
        # Where Python and IPython look for what `help` and `?` say.
        self.__name__ = self.name
        self.__doc__ = self._said()

    @property
    def module(self) -> str:
        """The path of its module."""
        return self.path.partition(":")[0]

    @property
    def name(self) -> str:
        """Its name in its module; of an HTTP action, its method and its path."""
        return self.path.partition(":")[2]

    @cached_property
    def signature(self) -> inspect.Signature:
        """Its arguments and its result, as annotations."""
        return signature_of(self._told.args, self._told.returns)

    @property
    def __signature__(self) -> inspect.Signature:
        return self.signature

    @property
    def args(self) -> dict[str, str]:
        """The type of each argument, by its name; an optional one's ends in `?`."""
        told = self._told.args
        fields = told["value"] if told["type"] == "object" else {}
        return {
            name: spelled(of["fieldType"]) + ("?" if of["optional"] else "")
            for name, of in fields.items()
        }

    def __call__(self, args: Mapping[str, Any] | None = None, /, **kwargs: Any) -> Any:
        """Run it and return its value."""
        if self.kind == "http":
            raise NotAllowed(
                f"`{self.name}` is called over HTTP, at the deployment's address below `/http`."
            )
        return self._run(self.path, args, **kwargs)

    def shown(self) -> str:
        """`create(text: str, done: bool = UNDEFINED) -> Id.tasks`."""
        if self.kind == "http":
            return self.name
        return f"{self.name}{self.signature}".replace("(*, ", "(", 1)

    def summary(self) -> str:
        """The first line of its docstring."""
        return (self.doc or "").partition("\n")[0]

    def _said(self) -> str:
        where = (
            f"{self.kind} `{self.path}`{f' from {self.origin}' if self.origin else ''}"
        )
        return f"{self.doc}\n\n({where})" if self.doc else where

    def __repr__(self) -> str:
        said = f"{self.kind} {self.module}:{self.shown()}"
        return f"{said}\n\n{inspect.cleandoc(self.doc)}" if self.doc else said

    def _repr_html_(self) -> str:
        said = html.escape(f"{self.module}:{self.shown()}")
        doc = html.escape(self.doc or "")
        about = html.escape(" · ".join(filter(None, (self.kind, self.origin))))
        pre = f'<pre style="white-space:pre-wrap;margin:6px 0">{doc}</pre>'
        return f"<code>{said}</code>{pre if doc else ''}{display.NOTE}{about}</div>"


class Functions(Mapping[str, Function]):
    """A deployment's functions by path, module by module.

    Args:
        told: what the deployment says of them.
        status: where its modules came from.
        run: what runs a function.
    """

    def __init__(
        self, told: list[dict[str, Any]], status: Status, run: Callable[..., Any]
    ) -> None:
        origins = {module.path: str(module.origin or "") for module in status.modules}
        found = [_told(item) for item in told]
        found.sort(key=lambda each: each.path.partition(":")[::2])
        self._functions = {
            each.path: Function(each, origins.get(each.path.partition(":")[0], ""), run)
            for each in found
        }

    def __getitem__(self, path: str) -> Function:
        found = self._functions.get(path) or self._functions.get(f"{path}:default")
        if found is None:
            near = near_path(str(path), self._functions)
            hint = f" Is `{near}` meant?" if near else ""
            raise UnknownFunction(f"There is no function `{path}`.{hint}")
        return found

    def __iter__(self) -> Iterator[str]:
        return iter(self._functions)

    def __len__(self) -> int:
        return len(self._functions)

    def _ipython_key_completions_(self) -> list[str]:
        return list(self._functions)

    def _by_module(self) -> list[tuple[str, list[Function]]]:
        listed = groupby(self._functions.values(), key=lambda each: each.module)
        return [(module, list(functions)) for module, functions in listed]

    def _repr_html_(self) -> str:
        body, left = "", LISTED
        for module, functions in self._by_module():
            body += _module_html(module, functions[:left]) if left > 0 else ""
            left -= len(functions)
        shown = min(len(self), LISTED)
        return (
            f"{display.TABLE}<tbody>{body}</tbody></table>"
            f"{display.NOTE}{display.shown(shown, len(self), 'functions')}</div>"
        )

    def __repr__(self) -> str:
        lines = []
        for module, functions in self._by_module():
            origin = functions[0].origin
            lines.append(f"{module}  ({origin})" if origin else module)
            lines += [_line(function) for function in functions]
        return "\n".join([*lines, f"({display.counted(len(self), 'functions')})"])


def _told(item: dict[str, Any]) -> _Told:
    """What the deployment says of one function; HTTP actions have no arguments."""
    is_route = "identifier" not in item
    anything = {"type": "any"}
    return _Told(
        f"{item['module']}:{item['name']}",
        "http" if is_route else item["kind"],
        is_route or item["visibility"]["kind"] == "public",
        item.get("args", anything),
        item.get("returns", anything),
        item["description"],
    )


def _line(function: Function) -> str:
    about = f"  # {function.summary()}" if function.summary() else ""
    return f"    {function.kind} {function.shown()}{about}"


def _module_html(module: str, functions: list[Function]) -> str:
    origin = functions[0].origin
    came = f' <span style="opacity:.75">{html.escape(origin)}</span>' if origin else ""
    head = display.HEAD.replace("<th ", '<th colspan="3" ')
    rows = "".join(_row_html(function) for function in functions)
    return f"<tr>{head}{html.escape(module)}{came}</th></tr>{rows}"


def _row_html(function: Function) -> str:
    cells = (
        f"<code>{html.escape(function.shown())}</code>",
        html.escape(function.kind),
        html.escape(function.summary()),
    )
    return f"<tr>{''.join(f'{display.CELL}{cell}</td>' for cell in cells)}</tr>"
