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

Invariants
    M1  A function belongs to the module whose top level made it, and to no other.
    M2  What a run changes in module globals is undone after it.
"""

from __future__ import annotations

import contextlib
import copy
import hashlib
import inspect
import re
import sys
import threading
import types
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Final

from convexlab.documents.schema import Schema
from convexlab.errors import CallerError, NotFound, PushFailed
from convexlab.functions import determinism, replacements
from convexlab.functions.auth_config import AUTH_CONFIG, Believed, believed
from convexlab.functions.crons import CronJobs, crons_of
from convexlab.functions.definition import (
    KIND_NAMES,
    FunctionDefinition,
    Reference,
    camel_case,
    making,
    split_path,
    wire_name,
)
from convexlab.functions.environment import Variables, not_set
from convexlab.functions.http import HttpRouter
from convexlab.functions.readings import BadAnnotation
from convexlab.functions.syntax import ParsedModule, Refused, check_awaits, line_of
from convexlab.functions.tracebacks import describe, user_frames, user_line

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from convexlab.functions.crons import CronSpec
    from convexlab.functions.definition import Kind, Visibility
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
class FunctionSpec:
    """A function as a push reports it.

    Attributes:
        module: the path of its module.
        name: its public name.
        args, returns: Convex's ValidatorJSON.
        description: its docstring.
        line: where it is defined.
        route: method and path, for what an HTTP router leads to.
        is_async: whether it is an `async def`.
    """

    module: str
    name: str
    kind: Kind
    visibility: Visibility
    args: dict[str, Any]
    returns: dict[str, Any]
    description: str | None = None
    line: int | None = None
    route: tuple[str, str] | None = None
    is_async: bool = False

    @property
    def path(self) -> str:
        """As clients name it: `tasks:create`."""
        return f"{self.module}:{self.name}"

    def to_json(self) -> dict[str, Any]:
        """The item of the official function spec."""
        if self.route is not None:
            method, path = self.route
            return {"functionType": "HttpAction", "method": method, "path": path}
        return {
            "identifier": f"{self.module}.js:{self.name}",
            "functionType": KIND_NAMES[self.kind],
            "visibility": {"kind": self.visibility},
            "args": self.args,
            "returns": self.returns,
        }


@dataclass(frozen=True, slots=True)
class MissingReference:
    """A reference to a function that is not there (yet)."""

    path: str
    line: int
    reference: str
    target: str

    def __str__(self) -> str:
        return f"{self.path}.py:{self.line}: `{self.reference}` names no function yet: there is no `{self.target}`."


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


# -- one module, run ----------------------------------------------------------------


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
    _check_paths(sources)
    modules = ModuleSet(sources, previous=previous, now_ms=now_ms)
    modules.environment = Variables(environment or {})
    functions = function_specs(modules)
    loaded = [modules.load(path) for path in modules.paths]
    schema = None
    for module in loaded:
        _check_special(module)
        if module.parsed.path == "schema":
            schema = vars(module.namespace)["schema"]
    log_lines = [line for module in loaded for line in module.log_lines]
    return Analysis(
        functions,
        schema,
        modules.versions,
        _missing_references(modules),
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
            _spec(modules, path, name, function)
            for name, function in loaded.functions.items()
            if function.kind != "http_action"  # reached by routes, not by name
        ]
        functions += sorted(found, key=_line_and_name)
        if path == _HTTP and isinstance(
            router := vars(loaded.namespace).get(_HTTP), HttpRouter
        ):
            functions += [
                _route_spec(route.method, route.shown) for route in router.routes
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


def _route_spec(method: str, path: str) -> FunctionSpec:
    anything = {"type": "any"}
    name = f"{method} {path}"
    return FunctionSpec(
        "http", name, "http_action", "public", anything, anything, route=(method, path)
    )


def _check_paths(sources: list[ModuleSource]) -> None:
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


def _check_special(loaded: LoadedModule) -> None:
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


def _spec(
    modules: ModuleSet, path: str, name: str, function: FunctionDefinition[..., Any]
) -> FunctionSpec:
    code = inspect.unwrap(function.handler).__code__
    parsed = modules.parsed(code.co_filename)
    node = parsed.defs.get(code.co_firstlineno) if parsed is not None else None
    where = path if parsed is None else parsed.path
    try:
        if node is not None and function.kind in ("query", "mutation"):
            check_awaits(node, function.kind)
        args, returns = (
            function.signature.args_json(),
            function.signature.returns_json(),
        )
    except Refused as error:
        raise PushFailed(f"`{name}`: {error}", path=where, line=error.line) from None
    except BadAnnotation as error:
        line = line_of(node, error.parameter) or code.co_firstlineno
        raise PushFailed(f"`{name}`: {error}", path=where, line=line) from None
    except CallerError as error:
        raise PushFailed(
            f"`{name}`: {error}", path=where, line=code.co_firstlineno
        ) from None
    return FunctionSpec(
        path,
        name,
        function.kind,
        function.visibility,
        args,
        returns,
        description=inspect.getdoc(function.handler),
        line=node.lineno if node is not None else code.co_firstlineno,
        is_async=function.is_async,
    )


def _missing_references(modules: ModuleSet) -> list[MissingReference]:
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
            *folders, name = chain[1:]
            target = (
                f"{'/'.join(folders)}:{wire_name(name)}"
                if folders
                else f"{name}:default"
            )
            try:
                modules.function(target)
            except NotFound:
                missing.append(MissingReference(path, line, ".".join(chain), target))
    return missing
