"""What a push asks of modules: does everything load, which functions are there.

`analyze` refuses with path, line and what to write. What it reports of functions is
`function_spec`, and what it checks beside them `push_checks`.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from convexlab.errors import PushFailed
from convexlab.functions.auth_config import AUTH_CONFIG, Believed, believed
from convexlab.functions.crons import crons_of
from convexlab.functions.environment import Variables
from convexlab.functions.function_spec import FunctionSpec, route_spec, spec_of
from convexlab.functions.http import HttpRouter
from convexlab.functions.modules import ModuleSet
from convexlab.functions.push_checks import (
    MissingReference,
    check_paths,
    check_special,
    missing_references,
)
from convexlab.functions.syntax import Refused

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from convexlab.documents.schema import Schema
    from convexlab.functions.crons import CronSpec
    from convexlab.functions.http import RouteSpec
    from convexlab.functions.module_sources import ModuleSource

_HTTP: Final = "http"


@dataclass(frozen=True, slots=True)
class Analysis:
    """What a set of sources amounts to.

    Attributes:
        functions: by module, in the order of their lines.
        schema: of the module `schema`, if there is one.
        versions: each module's version by path.
        missing: references to functions that are not there.
        log_lines: what the modules printed while loading.
        modules: the loaded set.
        auth: whose tokens are believed, of the module `auth_config`.
        crons: what runs by the clock, of the module `crons`.
    """

    functions: list[FunctionSpec]
    schema: Schema | None
    versions: dict[str, str]
    missing: list[MissingReference]
    log_lines: list[str]
    modules: ModuleSet
    auth: Believed
    crons: list[CronSpec]


def analyze(
    sources: Iterable[ModuleSource],
    *,
    previous: ModuleSet | None = None,
    now_ms: float = 0.0,
    environment: Mapping[str, str | None] | None = None,
) -> Analysis:
    """Loads all modules and checks every rule of a push.

    Args:
        sources: all modules of the deployment as they would be.
        previous: what runs now; its unchanged modules are not loaded again.
        now_ms: where time stands while modules load that do not say when they were
            pushed.
        environment: the deployment's variables, for `auth_config`.

    Raises:
        PushFailed: the first refusal, with path, line and what to write.
    """
    sources = list(sources)
    check_paths(sources)
    modules = ModuleSet(sources, previous=previous, now_ms=now_ms)
    modules.environment = Variables(environment or {})
    functions = function_specs(modules)
    loaded = [modules.load(path) for path in modules.paths]
    schema = None
    for module in loaded:
        check_special(module)
        if module.parsed.path == "schema":
            schema = vars(module.namespace)["schema"]
    log_lines = [line for module in loaded for line in module.log_lines]
    return Analysis(
        functions,
        schema,
        modules.versions,
        missing_references(modules),
        log_lines,
        modules,
        believed(modules),
        crons_of(modules),
    )


def function_specs(modules: ModuleSet) -> list[FunctionSpec]:
    """All functions of a set, routes included.

    Raises:
        PushFailed: a module or a function breaks a rule.
    """
    functions: list[FunctionSpec] = []
    for path in modules.paths:
        if path == AUTH_CONFIG:  # run at a push alone, where there is an environment
            continue
        loaded = modules.load(path)
        try:
            loaded.parsed.check_decorators()
        except Refused as error:
            raise PushFailed(str(error), path=path, line=error.line) from None
        found = [
            spec_of(modules, path, name, function)
            for name, function in loaded.functions.items()
            if function.kind != "http_action"  # reached by routes, not by name
        ]
        functions += sorted(found, key=_line_and_name)
        if path == _HTTP and isinstance(
            router := vars(loaded.namespace).get(_HTTP), HttpRouter
        ):
            functions += [
                route_spec(route.method, route.shown) for route in router.routes
            ]
    return functions


def plain_actions(functions: Iterable[FunctionSpec]) -> list[str]:
    """The paths of the actions that need a process to themselves."""
    return [f.path for f in functions if f.kind == "action" and not f.is_async]


def routes_of(modules: ModuleSet) -> list[RouteSpec] | None:
    """The routes of the HTTP router; None if there is none."""
    router = modules.router()
    return None if router is None else router.specs()


def _line_and_name(spec: FunctionSpec) -> tuple[int, str]:
    return spec.line or 0, spec.name
