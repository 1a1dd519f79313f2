"""What a push looks for in modules beside their functions: paths, names, references."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from convexlab.documents.references import path_of_parts, wire_name
from convexlab.documents.schema import Schema
from convexlab.errors import NotFound, PushFailed
from convexlab.functions.auth_config import AUTH_CONFIG
from convexlab.functions.crons import CronJobs
from convexlab.functions.definition import Reference
from convexlab.functions.http import HttpRouter

if TYPE_CHECKING:
    from convexlab.functions.loaded import LoadedModule
    from convexlab.functions.module_sources import ModuleSource
    from convexlab.functions.modules import ModuleSet

_SEGMENT: Final = re.compile(r"[A-Za-z0-9_]{1,64}")


@dataclass(frozen=True, slots=True)
class MissingReference:
    """A reference to a function that is not there (yet)."""

    path: str
    line: int
    reference: str
    target: str

    def __str__(self) -> str:
        return f"{self.path}.py:{self.line}: `{self.reference}` names no function yet: there is no `{self.target}`."


def check_paths(sources: list[ModuleSource]) -> None:
    """Each module has a path of its own that can be one.

    Raises:
        PushFailed: two have the same, or one cannot be.
    """
    seen: set[str] = set()
    for source in sources:
        path = source.path
        if path in seen:
            raise PushFailed(f"there are two modules `{path}`.", path=path)
        seen.add(path)
        if not all(map(_SEGMENT.fullmatch, path.split("/"))):
            raise PushFailed(
                f"`{path}` cannot be a module's path: letters, digits and `_`, folders separated by `/`.",
                path=path,
            )


def check_special(loaded: LoadedModule) -> None:
    """The modules that hold one variable of their own name hold it."""
    path = loaded.parsed.path
    value = vars(loaded.namespace).get(path)
    made_by = {
        "schema": (Schema, "define_schema({…})"),
        "http": (HttpRouter, "http_router()"),
        "crons": (CronJobs, "cron_jobs()"),
        "auth_config": (dict, '{"providers": […]}'),
    }.get(path)
    if made_by is not None and (value is None or not isinstance(value, made_by[0])):
        raise PushFailed(
            f"the module `{path}` holds one variable `{path}`: write `{path} = {made_by[1]}`.",
            path=path,
        )
    if path == AUTH_CONFIG and loaded.functions:
        raise PushFailed(
            f"the module `{path}` is not there for calls: let another one hold "
            f"`{next(iter(loaded.functions))}`.",
            path=path,
        )


def missing_references(modules: ModuleSet) -> list[MissingReference]:
    """`api.…` and `internal.…` in the sources that name no function."""
    missing = []
    for path in modules.paths:
        loaded = modules.load(path)
        roots = {
            name
            for name, value in vars(loaded.namespace).items()
            if isinstance(value, Reference)
        }
        for line, chain in loaded.parsed.chains():
            if chain[0] not in roots:
                continue
            target = path_of_parts(tuple(map(wire_name, chain[1:])))
            try:
                modules.function(target)
            except NotFound:
                missing.append(MissingReference(path, line, ".".join(chain), target))
    return missing
