"""Modules: source text turned into functions, and the refusals of a push.

A module set is what one version of a deployment's code is: sources by path,
`admin/users` being `convex/admin/users.py`. Modules import one another by relative
imports only, and live beside Python's own modules without hiding any: a user
module called `logging` is `.logging` to its neighbours.

A module's version is a hash of its source and of all that it imports, so equal
versions run equal code; a set made from an earlier one keeps the modules whose
version did not change, loaded.

`analyze` is what a push asks: does everything load, which functions are there,
what do they take. It refuses with path, line and what to write.

What one module is once it has run, with M1 and M2, is `loaded`; what a push reports of
functions is `function_spec`, and what it checks beside them `push_checks`.
"""

from __future__ import annotations

import hashlib
import re
import sys
import threading
import types
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Final

from convexlab.errors import CallerError, NotFound, PushFailed
from convexlab.functions import determinism, replacements
from convexlab.functions.auth_config import AUTH_CONFIG, Believed, believed
from convexlab.functions.crons import crons_of
from convexlab.functions.definition import (
    FunctionDefinition,
    making,
    split_path,
)
from convexlab.functions.environment import Variables, not_set
from convexlab.functions.function_spec import FunctionSpec, route_spec, spec_of
from convexlab.functions.http import HttpRouter
from convexlab.functions.loaded import LoadedModule
from convexlab.functions.push_checks import (
    MissingReference,
    check_paths,
    check_special,
    missing_references,
)
from convexlab.functions.syntax import ParsedModule, Refused
from convexlab.functions.tracebacks import describe, user_frames, user_line

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from convexlab.documents.schema import Schema
    from convexlab.functions.crons import CronSpec
    from convexlab.functions.http import RouteSpec

_HTTP: Final = "http"
_SEGMENT: Final = re.compile(r"[A-Za-z0-9_]{1,64}")


@dataclass(frozen=True, slots=True)
class ModuleSource:
    """A module's text and where it came from.

    Attributes:
        path: as in function paths: `admin/users`.
        source: Python.
        origin: `{"kind": "cell" | "file", "name": …}`.
        pushed_ms: when this version was pushed; where time stands while it loads, so
            that its top level says the same in every process.
    """

    path: str
    source: str
    origin: Mapping[str, str] = field(default_factory=dict)
    pushed_ms: float | None = None

    @property
    def filename(self) -> str:
        """How tracebacks name it."""
        return f"{determinism.USER_FILES}{self.path}.py"


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


def module_path(file: str) -> str | None:
    """The module path of a file in a functions folder, None if it is not pushed.

    Args:
        file: relative to the folder, with forward slashes.
    """
    *folders, name = file.split("/")
    stem = name.removesuffix(".py")
    if name == stem or stem in ("__init__", "conftest"):
        return None
    if (
        stem.startswith("test_")
        or stem.endswith("_test")
        or not _SEGMENT.fullmatch(stem)
    ):
        return None
    if any(
        folder in ("_generated", "__pycache__") or folder.startswith(".")
        for folder in folders
    ):
        return None
    return "/".join((*folders, stem))


# -- the set ------------------------------------------------------------------------


class ModuleSet:
    """One version of a deployment's modules; loads them when they are asked for.

    Args:
        sources: all modules.
        previous: an earlier set, whose unchanged modules stay loaded.
        now_ms: where time stands while modules load that do not say when they were
            pushed.

    Attributes:
        versions: each module's version by path.
        deployment: the name of the one whose modules these are; *set by* who runs them.
        environment: what `auth_config` may read, and has read; *set by* a push.
    """

    deployment = ""
    environment: Variables | None = None

    def __init__(
        self,
        sources: Iterable[ModuleSource],
        *,
        previous: ModuleSet | None = None,
        now_ms: float = 0.0,
    ) -> None:
        replacements.install()
        sources = list(sources)
        self._times = {
            source.path: now_ms if source.pushed_ms is None else source.pushed_ms
            for source in sources
        }
        known = previous._parsed if previous is not None else {}  # noqa: SLF001 - its own class
        self._parsed: dict[str, ParsedModule] = {}
        for source in sources:
            parsed = known.get(source.path)
            if parsed is None or parsed.text != source.source:
                parsed = ParsedModule(source.path, source.source, source.filename)
            self._parsed[source.path] = parsed
        self._imports = {
            path: self._imported(parsed) for path, parsed in self._parsed.items()
        }
        self.versions = {path: self._version(path) for path in self._parsed}
        self._loaded: dict[str, LoadedModule] = {}
        self._found: dict[str, FunctionDefinition[..., Any]] = {}
        self._changeable: dict[str, list[LoadedModule]] = {}
        self._router: HttpRouter | None = None
        # Only action runners load on one thread what another may ask for.
        self._loading = threading.RLock()
        if previous is not None:
            for path, loaded in previous._loaded.items():  # noqa: SLF001
                if previous.versions[path] == self.versions.get(path):
                    self._loaded[path] = loaded

    @property
    def paths(self) -> list[str]:
        """All module paths, sorted."""
        return sorted(self._parsed)

    def imports_of(self, path: str) -> set[str]:
        """The modules that a module imports, directly or not."""
        seen: set[str] = set()
        waiting = list(self._imports[path])
        while waiting:
            found = waiting.pop()
            if found not in seen:
                seen.add(found)
                waiting.extend(self._imports[found])
        return seen

    def function(self, path: str) -> FunctionDefinition[..., Any]:
        """The function that a path names: `dir/mod:fn`, `mod.js:fn`, `mod`, camel case too.

        Raises:
            NotFound: there is no such function.
            PushFailed: its module does not load.
        """
        found = self._found.get(path)
        if found is None:
            module, name = split_path(path)
            if module in self._parsed:
                found = self.load(module).function(name)
            if found is None:
                raise NotFound(f"Could not find function for '{path}'.")
            self._found[path] = found
        return found

    def knows(self, path: str) -> bool:
        """Whether `function` answers at once, without loading anything."""
        return path in self._found

    def load(self, path: str) -> LoadedModule:
        """A module, run if it has not been.

        Raises:
            PushFailed: it cannot be run, or breaks a rule; names the line.
        """
        with self._loading:
            return self._loaded.get(path) or self._load(path)

    def _load(self, path: str) -> LoadedModule:
        loaded = self._run(self._parsed[path])
        try:
            loaded.publish()
        except Refused as error:
            del self._loaded[path]
            raise PushFailed(str(error), path=path, line=error.line) from None
        loaded.remember()
        return loaded

    @property
    def knows_router(self) -> bool:
        """Whether `router` answers at once, without loading anything."""
        return self._router is not None or _HTTP not in self._parsed

    def router(self) -> HttpRouter | None:
        """The router of the module `http`; None if there is no such module.

        Raises:
            PushFailed: the module does not load.
        """
        if self._router is None and _HTTP in self._parsed:
            router = vars(self.load(_HTTP).namespace).get(_HTTP)
            assert isinstance(router, HttpRouter), "a push has seen to it"
            self._router = router
        return self._router

    def load_all(self) -> None:
        """Every module with functions: who is about to serve runs them beforehand."""
        for path in self.paths:
            if path != AUTH_CONFIG:
                self.load(path)

    def restore(self, path: str) -> None:
        """Undoes what a run of a module's function changed in globals (M2)."""
        changeable = self._changeable.get(path)
        if changeable is None:
            reached = [
                self.load(each) for each in (path, *sorted(self.imports_of(path)))
            ]
            changeable = self._changeable[path] = [
                loaded for loaded in reached if loaded.is_changeable
            ]
        for loaded in changeable:
            loaded.restore()

    def parsed(self, filename: str) -> ParsedModule | None:
        """The module that a traceback calls so."""
        path = filename.removeprefix(determinism.USER_FILES).removesuffix(".py")
        return self._parsed.get(path)

    def line(self, filename: str, number: int) -> str:
        """One line of a module's source, or an empty string."""
        parsed = self.parsed(filename)
        if parsed is None or not 0 < number <= len(parsed.lines):
            return ""
        return parsed.lines[number - 1]

    # -- running a module -------------------------------------------------------

    def _run(self, parsed: ParsedModule) -> LoadedModule:
        if parsed.error is not None:
            raise self._failed(parsed, parsed.error)
        name = f"{determinism.USER_PACKAGE}.{parsed.path.replace('/', '.')}"
        namespace = types.ModuleType(name)
        vars(namespace).update(
            __file__=parsed.filename,
            __package__=name.rpartition(".")[0],
            __builtins__=replacements.user_builtins(
                lambda target, names, level: self._import(
                    parsed.path, target, names, level
                )
            ),
        )
        loaded = self._loaded[parsed.path] = LoadedModule(parsed, namespace)
        # N.B. dataclasses and Pydantic look up a class's module by name.
        earlier = sys.modules.get(name)
        sys.modules[name] = namespace
        seed = bytes.fromhex(self.versions[parsed.path])
        now_ms = self._times[parsed.path]
        run = determinism.Run(determinism.LOADING, now_ms=now_ms, seed=seed)
        run.environment = self.environment if parsed.path == AUTH_CONFIG else None
        token = making.set(parsed.path)
        try:
            with determinism.inside(run):
                # N.B. else it would inherit this file's `from __future__ import`.
                code = compile(parsed.tree, parsed.filename, "exec", dont_inherit=True)
                exec(code, vars(namespace))  # noqa: S102 - that is what a module is
        except BaseException as error:
            del self._loaded[parsed.path]
            sys.modules.pop(name)
            if earlier is not None:
                sys.modules[name] = earlier
            if isinstance(error, PushFailed) or not isinstance(
                error, Exception | SystemExit
            ):
                raise
            raise self._failed(parsed, error) from error
        finally:
            making.reset(token)
        loaded.log_lines = run.log.lines
        return loaded

    def _failed(self, parsed: ParsedModule, error: BaseException) -> PushFailed:
        frames = user_frames(error, self)
        if isinstance(error, ModuleNotFoundError) and error.name:
            said = self._missing_package(error.name, str(error))
        elif self._missed(error):
            said = not_set(error.args)
        else:
            said = str(error) if isinstance(error, CallerError) else describe(error)
        traceback = "\n".join([*frames, said]) if frames else None
        return PushFailed(
            said,
            path=parsed.path,
            line=user_line(error, parsed.filename),
            traceback=traceback,
        )

    def _missed(self, error: BaseException) -> bool:
        """Whether a variable that is not set was asked for."""
        if self.environment is None or not isinstance(error, KeyError):
            return False
        return not self.environment.missed.isdisjoint(map(str, error.args))

    def _missing_package(self, name: str, said: str) -> str:
        package = name.partition(".")[0]
        if not package:  # a neighbour: `_import` has said it
            return said
        if name.replace(".", "/") in self._parsed or package in self._parsed:
            return f"`{name}` is a module of this deployment: write `from .{name} import …`, or `from . import {name}`."
        return (
            f"the package `{package}` is not installed where the deployment runs: install it there "
            f"(`pip install {package}`), then push again."
        )

    def _import(
        self, importer: str, name: str, names: tuple[str, ...], level: int
    ) -> Any:
        """What a relative import of a user module gets."""
        target = _target(importer, name, level)
        if name and target in self._parsed:
            module = self.load(target).namespace
            for item in names:
                inner = f"{target}/{item}"
                if inner in self._parsed and not hasattr(module, item):
                    setattr(module, item, self.load(inner).namespace)
            return module
        found = types.SimpleNamespace()
        for item in names:
            inner = f"{target}/{item}" if target else item
            if inner not in self._parsed:
                wanted = target if name else inner
                raise ModuleNotFoundError(
                    f"there is no module `{wanted}` in this deployment.",
                    name=f".{wanted}",
                )
            setattr(found, item, self.load(inner).namespace)
        return found

    def _imported(self, parsed: ParsedModule) -> set[str]:
        found: set[str] = set()
        for level, name, names in parsed.relative_imports():
            try:
                target = _target(parsed.path, name, level)
            except ImportError:
                continue
            inside = {f"{target}/{item}" if target else item for item in names}
            found |= {target, *inside} & self._parsed.keys()
        return found - {parsed.path}

    def _version(self, path: str) -> str:
        digest = hashlib.sha256()
        for member in (path, *sorted(self.imports_of(path) - {path})):
            text = self._parsed[member].text.encode("utf-8", "surrogatepass")
            digest.update(f"{member}\0{len(text)}\0".encode() + text)
        return digest.hexdigest()


def _target(importer: str, name: str, level: int) -> str:
    """The path that a relative import means; empty for the functions folder itself."""
    folders = importer.split("/")[:-1]
    if level - 1 > len(folders):
        raise ImportError(f"`{importer}` imports from above the functions folder.")
    return "/".join(
        [*folders[: len(folders) - (level - 1)], *filter(None, name.split("."))]
    )


# -- what a push asks -----------------------------------------------------------------


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
