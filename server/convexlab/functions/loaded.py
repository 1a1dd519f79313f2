"""A module that has run: its functions, and its globals as they were then.

Invariants
    M1  A function belongs to the module whose top level made it, and to no other.
    M2  What a run changes in module globals is undone after it.
"""

from __future__ import annotations

import contextlib
import copy
import inspect
from typing import TYPE_CHECKING, Any

from convexlab.documents.references import wire_name
from convexlab.functions.definition import FunctionDefinition, camel_case
from convexlab.functions.syntax import ParsedModule, Refused

if TYPE_CHECKING:
    import types


class LoadedModule:
    """A module that has run.

    Attributes:
        parsed: its text.
        namespace: the Python module.
        functions: by public name.
        log_lines: what it printed while loading.
    """

    def __init__(self, parsed: ParsedModule, namespace: types.ModuleType) -> None:
        self.parsed = parsed
        self.namespace = namespace
        self.functions: dict[str, FunctionDefinition[..., Any]] = {}
        self.log_lines: list[str] = []
        self._aliases: dict[str, FunctionDefinition[..., Any]] = {}
        self._globals: dict[str, Any] | None = None
        self._contents: list[tuple[Any, Any]] = []

    def function(self, name: str) -> FunctionDefinition[..., Any] | None:
        """By public name, else by its spelling in camel case."""
        return self.functions.get(name) or self._aliases.get(name)

    def publish(self) -> None:
        """Names the functions that the module's top level made (M1)."""
        for variable, value in vars(self.namespace).items():
            if (
                not isinstance(value, FunctionDefinition)
                or value.module != self.parsed.path
            ):
                continue
            if variable.startswith("_") and value.given_name is None:
                continue
            name = value.given_name or wire_name(variable)
            if self.functions.get(name, value) is not value:
                code = inspect.unwrap(value.handler).__code__
                raise Refused(
                    f"two functions are called `{name}`: rename one.",
                    code.co_firstlineno,
                )
            value.name = value.name or name
            self.functions[name] = value
        for name, function in self.functions.items():
            if camel_case(name) not in self.functions:
                self._aliases[camel_case(name)] = function

    def remember(self) -> None:
        """Keeps what functions may change in the globals (M2)."""
        if self.parsed.has_global_statements:
            self._globals = dict(vars(self.namespace))
        for name in sorted(self.parsed.changed_globals & vars(self.namespace).keys()):
            value = vars(self.namespace)[name]
            if isinstance(value, list | dict | set | bytearray):
                with contextlib.suppress(
                    TypeError
                ):  # what cannot be copied is left alone
                    self._contents.append((value, copy.deepcopy(value)))

    @property
    def is_changeable(self) -> bool:
        """Whether `restore` has anything to look at."""
        return self._globals is not None or bool(self._contents)

    def restore(self) -> None:
        """Undoes what a run changed in the globals (M2)."""
        if self._globals is not None:
            vars(self.namespace).clear()
            vars(self.namespace).update(self._globals)
        for value, kept in self._contents:
            if value == kept:
                continue
            value.clear()
            if isinstance(value, list | bytearray):
                value.extend(copy.deepcopy(kept))
            else:
                value.update(copy.deepcopy(kept))
