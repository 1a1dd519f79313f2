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
"""

from __future__ import annotations

import ast
import copy
import hashlib
import inspect
import re
import sys
import types
from dataclasses import dataclass, field
from functools import cached_property
from typing import TYPE_CHECKING, Any, Final

from convexlab.documents.schema import Schema
from convexlab.errors import CallerError, NotFound, PushFailed
from convexlab.functions import determinism
from convexlab.functions.arguments import BadAnnotation
from convexlab.functions.definition import (
    FunctionDefinition,
    camel_case,
    making,
    split_path,
    wire_name,
)
from convexlab.functions.http import HttpRouter
from convexlab.functions.tracebacks import describe, user_frames, user_line

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping

    from convexlab.functions.definition import Kind, Visibility

_PACKAGE: Final = "convex_modules"
_SEGMENT: Final = re.compile(r"[A-Za-z0-9_]{1,64}")
_DECORATORS: Final = frozenset({
    "query", "mutation", "action", "internal_query", "internal_mutation", "internal_action", "http_action",
})  # fmt: skip
_SPECIAL: Final[dict[str, str]] = {
    "schema": "schema",
    "http": "http",
    "crons": "crons",
    "auth_config": "auth_config",
}
_MUTATORS: Final = frozenset({
    "add", "append", "appendleft", "clear", "discard", "extend", "insert", "pop", "popitem", "popleft",
    "remove", "reverse", "setdefault", "sort", "update",
})  # fmt: skip


@dataclass(frozen=True, slots=True)
class ModuleSource:
    """A module's text and where it came from.

    Attributes:
        path: as in function paths: `admin/users`.
        source: Python.
        origin: `{"kind": "cell" | "file", "name": …}`.
    """

    path: str
    source: str
    origin: Mapping[str, str] = field(default_factory=dict)

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

    @property
    def path(self) -> str:
        """As clients name it: `tasks:create`."""
        return f"{self.module}:{self.name}"

    def to_json(self) -> dict[str, Any]:
        """The item of the official function spec."""
        if self.route is not None:
            return {
                "functionType": "HttpAction",
                "method": self.route[0],
                "path": self.route[1],
            }
        return {
            "identifier": f"{self.module}.js:{self.name}",
            "functionType": {
                "query": "Query",
                "mutation": "Mutation",
                "action": "Action",
            }.get(self.kind, "HttpAction"),
            "visibility": {"kind": self.visibility},
            "args": self.args,
            "returns": self.returns,
        }


@dataclass(frozen=True, slots=True)
class Warned:
    """Something a push points out and lets pass."""

    path: str
    line: int | None
    message: str

    def __str__(self) -> str:
        where = f"{self.path}.py:{self.line}" if self.line else f"{self.path}.py"
        return f"{where}: {self.message}"


@dataclass(frozen=True, slots=True)
class Analysis:
    """What a set of sources amounts to.

    Attributes:
        functions: in the order of path and line.
        schema: of the module `schema`, if there is one.
        versions: each module's version by path.
        missing: references to functions that are not there.
        log_lines: what the modules printed while loading.
        modules: the loaded set.
    """

    functions: list[FunctionSpec]
    schema: Schema | None
    versions: dict[str, str]
    missing: list[Warned]
    log_lines: list[str]
    modules: ModuleSet


def module_path(file: str) -> str | None:
    """The module path of a file in a functions folder, None if it is not pushed.

    Args:
        file: relative to the folder, with forward slashes.
    """
    *folders, name = file.split("/")
    stem = name.removesuffix(".py")
    if (
        name == stem
        or stem in ("__init__", "conftest")
        or stem.startswith("test_")
        or stem.endswith("_test")
    ):
        return None
    if any(
        part == "_generated" or part.startswith(".") or part == "__pycache__"
        for part in folders
    ):
        return None
    return "/".join((*folders, stem)) if _SEGMENT.fullmatch(stem) else None


# -- one module -------------------------------------------------------------------


class ParsedModule:
    """A module's syntax tree and what can be said without running it."""

    def __init__(self, source: ModuleSource) -> None:
        self.source = source
        self.error: SyntaxError | ValueError | None = None
        try:
            self.tree = ast.parse(source.source, source.filename)
        except (SyntaxError, ValueError) as error:
            self.error = error
            self.tree = ast.Module([], [])

    @cached_property
    def lines(self) -> list[str]:
        """The source by line."""
        return self.source.source.splitlines()

    @cached_property
    def defs(self) -> dict[int, ast.FunctionDef | ast.AsyncFunctionDef]:
        """Function definitions by their code object's first line."""
        return {
            min(
                [node.lineno, *(decorator.lineno for decorator in node.decorator_list)]
            ): node
            for node in ast.walk(self.tree)
            if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef)
        }

    def relative_imports(self) -> Iterator[tuple[int, str, tuple[str, ...]]]:
        """Level, module and names of each relative import, wherever it stands."""
        for node in ast.walk(self.tree):
            if isinstance(node, ast.ImportFrom) and node.level > 0:
                yield (
                    node.level,
                    node.module or "",
                    tuple(alias.name for alias in node.names),
                )

    def written_names(self) -> set[str]:
        """Global names whose values functions of this module may change."""
        return {name for node in ast.walk(self.tree) for name in _written(node)}


def _written(node: ast.AST) -> Iterator[str]:
    if isinstance(node, ast.Global):
        yield from node.names
    elif isinstance(node, ast.Subscript | ast.Attribute) and isinstance(
        node.ctx, ast.Store | ast.Del
    ):
        yield from _root(node.value)
    elif (
        isinstance(node, ast.Call)
        and isinstance(node.func, ast.Attribute)
        and node.func.attr in _MUTATORS
    ):
        yield from _root(node.func.value)
    elif isinstance(node, ast.AugAssign):
        yield from _root(node.target)


def _root(node: ast.AST) -> Iterator[str]:
    while isinstance(node, ast.Subscript | ast.Attribute | ast.Call):
        node = node.func if isinstance(node, ast.Call) else node.value
    if isinstance(node, ast.Name):
        yield node.id


class LoadedModule:
    """A module that has run.

    Attributes:
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
        """Names the functions that the module's top level made."""
        for variable, value in vars(self.namespace).items():
            if (
                not isinstance(value, FunctionDefinition)
                or value.module != self.parsed.source.path
            ):
                continue
            if variable.startswith("_") and value.given_name is None:
                continue
            name = value.given_name or wire_name(variable)
            other = self.functions.get(name)
            if other is not None and other is not value:
                raise BadAnnotation(f"two functions are called `{name}`: rename one.")
            value.name = value.name or name
            self.functions[name] = value
        self._aliases = {
            camel_case(name): function
            for name, function in self.functions.items()
            if camel_case(name) not in self.functions
        }

    def remember(self) -> None:
        """Keeps the globals that functions may change, so that changes can be undone."""
        written = self.parsed.written_names() & vars(self.namespace).keys()
        values = [vars(self.namespace)[name] for name in sorted(written)]
        self._contents = [
            (value, copy.deepcopy(value))
            for value in values
            if isinstance(value, list | dict | set | bytearray)
        ]
        if any(isinstance(node, ast.Global) for node in ast.walk(self.parsed.tree)):
            self._globals = dict(vars(self.namespace))

    def restore(self) -> None:
        """Undoes what a run changed in the module's globals."""
        if self._globals is not None and vars(self.namespace) != self._globals:
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

    @property
    def is_changeable(self) -> bool:
        """Whether `restore` has anything to look at."""
        return self._globals is not None or bool(self._contents)


# -- the set ----------------------------------------------------------------------


class ModuleSet:
    """One version of a deployment's modules; loads them when they are asked for.

    Args:
        sources: all modules.
        previous: an earlier set, whose unchanged modules stay loaded.
        now_ms: where time stands while modules load.
    """

    def __init__(
        self,
        sources: Iterable[ModuleSource],
        *,
        previous: ModuleSet | None = None,
        now_ms: float = 0.0,
    ) -> None:
        determinism.install()
        self.now_ms = now_ms
        kept = previous._parsed if previous is not None else {}  # noqa: SLF001 - its own class
        self._parsed: dict[str, ParsedModule] = {}
        for source in sources:
            known = kept.get(source.path)
            same = known is not None and known.source.source == source.source
            self._parsed[source.path] = (
                known if known is not None and same else ParsedModule(source)
            )
        self._imports = {
            path: self._imported(parsed) for path, parsed in self._parsed.items()
        }
        self.versions = {path: self._version(path) for path in self._parsed}
        self._loaded: dict[str, LoadedModule] = {}
        self._changeable: list[LoadedModule] = []
        self._found: dict[str, FunctionDefinition[..., Any]] = {}
        if previous is not None:
            for path, loaded in previous._loaded.items():  # noqa: SLF001
                if previous.versions[path] == self.versions.get(path):
                    self._keep(path, loaded)

    @property
    def paths(self) -> list[str]:
        """All module paths, sorted."""
        return sorted(self._parsed)

    def imports_of(self, path: str) -> set[str]:
        """The modules that a module imports, directly or not."""
        seen: set[str] = set()
        waiting = list(self._imports.get(path, ()))
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

    def functions(self) -> Iterator[FunctionDefinition[..., Any]]:
        """All functions of all modules, by path."""
        for path in self.paths:
            yield from self.load(path).functions.values()

    def load(self, path: str) -> LoadedModule:
        """A module, run if it has not been.

        Raises:
            PushFailed: it cannot be run, or breaks a rule; names the line.
        """
        loaded = self._loaded.get(path)
        if loaded is None:
            parsed = self._parsed[path]
            loaded = self._run(parsed)
            try:
                loaded.publish()
            except BadAnnotation as error:
                self._loaded.pop(path, None)
                raise PushFailed(str(error), path=path) from None
            loaded.remember()
            self._keep(path, loaded)
        return loaded

    def load_all(self) -> None:
        """Every module: a process that is about to serve runs them beforehand."""
        for path in self.paths:
            self.load(path)

    def restore(self) -> None:
        """Undoes what a run changed in module globals."""
        for loaded in self._changeable:
            loaded.restore()

    def parsed(self, filename: str) -> ParsedModule | None:
        """The module that a traceback calls so."""
        path = filename.removeprefix(determinism.USER_FILES).removesuffix(".py")
        return self._parsed.get(path)

    def line(self, filename: str, number: int) -> str:
        """One line of a module's source, or an empty string."""
        parsed = self.parsed(filename)
        return (
            parsed.lines[number - 1]
            if parsed is not None and 0 < number <= len(parsed.lines)
            else ""
        )

    def _keep(self, path: str, loaded: LoadedModule) -> None:
        self._loaded[path] = loaded
        if loaded.is_changeable:
            self._changeable.append(loaded)

    def _run(self, parsed: ParsedModule) -> LoadedModule:
        source = parsed.source
        if parsed.error is not None:
            raise self._failed(source, parsed.error)
        name = f"{_PACKAGE}.{source.path.replace('/', '.')}"
        namespace = types.ModuleType(name)
        vars(namespace).update(
            __file__=source.filename,
            __package__=name.rpartition(".")[0],
            __builtins__=determinism.user_builtins(
                lambda target, names, level: self._import(
                    source.path, target, names, level
                )
            ),
        )
        loaded = self._loaded[source.path] = LoadedModule(parsed, namespace)
        # N.B. dataclasses and Pydantic look up a class's module by name.
        earlier = sys.modules.get(name)
        sys.modules[name] = namespace
        version = self.versions[source.path]
        run = determinism.Run(
            "a module's top level", now_ms=self.now_ms, seed=bytes.fromhex(version)
        )
        token = making.set(source.path)
        try:
            with determinism.inside(run):
                exec(compile(parsed.tree, source.filename, "exec"), vars(namespace))  # noqa: S102 - that is what a module is
        except BaseException as error:
            del self._loaded[source.path]
            del sys.modules[name]
            if earlier is not None:
                sys.modules[name] = earlier
            if isinstance(error, PushFailed) or not isinstance(
                error, Exception | SystemExit
            ):
                raise
            raise self._failed(source, error) from error
        finally:
            making.reset(token)
        loaded.log_lines = run.log.lines
        return loaded

    def _failed(self, source: ModuleSource, error: BaseException) -> PushFailed:
        frames = user_frames(error, self)
        said = describe(error)
        if isinstance(error, ModuleNotFoundError) and error.name:
            said = self._missing_package(error.name, str(error))
        elif isinstance(error, CallerError):
            said = str(error)
        traceback = "\n".join([*frames, said]) if frames else None
        return PushFailed(
            said,
            path=source.path,
            line=user_line(error, source.filename),
            traceback=traceback,
        )

    def _missing_package(self, name: str, said: str) -> str:
        top = name.partition(".")[0]
        if name.startswith("."):
            return said
        if name.replace(".", "/") in self._parsed or top in self._parsed:
            return f"`{name}` is a module of this deployment: write `from .{name} import …` (or `from . import {name}`)."
        return f"the package `{top}` is not installed where the deployment runs: install it there (`pip install {top}`), then push again."

    def _import(
        self, importer: str, name: str, names: tuple[str, ...], level: int
    ) -> Any:
        folder, target = self._target(importer, name, level)
        if name and target in self._parsed:
            module = self.load(target).namespace
            for item in names:
                inner = f"{target}/{item}"
                if inner in self._parsed and not hasattr(module, item):
                    setattr(module, item, self.load(inner).namespace)
            return module
        found = {}
        for item in names:
            inner = f"{target}/{item}" if target else item
            if inner not in self._parsed:
                shown = f"{'.' * level}{name}"
                raise ModuleNotFoundError(
                    f"`{importer}` imports `{item}` from `{shown}`, and there is no module `{inner}` in this deployment.",
                    name=f".{inner}",
                )
            found[item] = self.load(inner).namespace
        del folder
        return types.SimpleNamespace(**found)

    def _target(self, importer: str, name: str, level: int) -> tuple[list[str], str]:
        folders = importer.split("/")[:-1]
        if level - 1 > len(folders):
            raise ImportError(f"`{importer}` imports from above the functions folder.")
        folder = folders[: len(folders) - (level - 1)]
        return folder, "/".join([*folder, *(name.split(".") if name else [])])

    def _imported(self, parsed: ParsedModule) -> set[str]:
        found = set()
        for level, name, names in parsed.relative_imports():
            try:
                _, target = self._target(parsed.source.path, name, level)
            except ImportError:
                continue
            candidates = {
                target,
                *(f"{target}/{item}" if target else item for item in names),
            }
            found |= candidates & self._parsed.keys()
        return found - {parsed.source.path}

    def _version(self, path: str) -> str:
        digest = hashlib.sha256()
        for member in (path, *sorted(self.imports_of(path) - {path})):
            text = self._parsed[member].source.source.encode("utf-8", "surrogatepass")
            digest.update(f"{member}\0{len(text)}\0".encode() + text)
        return digest.hexdigest()


# -- what a push asks ---------------------------------------------------------------


def analyze(
    sources: Iterable[ModuleSource],
    *,
    previous: ModuleSet | None = None,
    now_ms: float = 0.0,
) -> Analysis:
    """Loads all modules and checks every rule of a push.

    Args:
        sources: all modules of the deployment as they would be.
        previous: what runs now; its unchanged modules are not loaded again.
        now_ms: where time stands while modules load.

    Raises:
        PushFailed: the first refusal, with path, line and what to write.
    """
    sources = list(sources)
    _check_paths(sources)
    modules = ModuleSet(sources, previous=previous, now_ms=now_ms)
    functions: list[FunctionSpec] = []
    log_lines: list[str] = []
    schema = None
    for path in modules.paths:
        loaded = modules.load(path)
        log_lines += loaded.log_lines
        _check_decorators(loaded.parsed)
        specs = [
            _spec(modules, path, name, function)
            for name, function in loaded.functions.items()
        ]
        functions += sorted(specs, key=lambda spec: (spec.line or 0, spec.name))
        if path == "schema":
            schema = _special(loaded, Schema, "define_schema({…})")
        elif path == "http":
            functions += _routes(loaded)
        elif path in _SPECIAL and _SPECIAL[path] not in vars(loaded.namespace):
            raise PushFailed(
                f"the module `{path}` holds one variable `{_SPECIAL[path]}`: define it.",
                path=path,
            )
    missing = _missing_references(modules)
    return Analysis(functions, schema, modules.versions, missing, log_lines, modules)


def _check_paths(sources: list[ModuleSource]) -> None:
    seen = set()
    for source in sources:
        if source.path in seen:
            raise PushFailed(
                f"there are two modules `{source.path}`.", path=source.path
            )
        seen.add(source.path)
        for segment in source.path.split("/"):
            if not _SEGMENT.fullmatch(segment):
                raise PushFailed(
                    f"`{source.path}` cannot be a module's path: letters, digits and `_`, folders separated by `/`.",
                    path=source.path,
                )


def _special(loaded: LoadedModule, kind: type[Any], made_by: str) -> Any:
    path = loaded.parsed.source.path
    value = vars(loaded.namespace).get(path)
    if not isinstance(value, kind):
        raise PushFailed(
            f"the module `{path}` holds one variable `{path}`: write `{path} = {made_by}`.",
            path=path,
        )
    return value


def _routes(loaded: LoadedModule) -> list[FunctionSpec]:
    router: HttpRouter = _special(loaded, HttpRouter, "http_router()")
    anything = {"type": "any"}
    return [
        FunctionSpec(
            "http",
            route.name,
            "http_action",
            "public",
            anything,
            anything,
            route=(route.method, route.shown),
        )
        for route in router.routes
    ]


def _spec(
    modules: ModuleSet, path: str, name: str, function: FunctionDefinition[..., Any]
) -> FunctionSpec:
    code = inspect.unwrap(function.handler).__code__
    parsed = modules.parsed(code.co_filename)
    node = parsed.defs.get(code.co_firstlineno) if parsed is not None else None
    try:
        signature = function.signature
        if node is not None and function.kind in ("query", "mutation"):
            _check_awaits(function, node)
        args, returns = signature.args_json(), signature.returns_json()
    except BadAnnotation as error:
        where = path if parsed is None else parsed.source.path
        line = error.line or _line_of(node, error.parameter) or code.co_firstlineno
        raise PushFailed(f"`{name}`: {error}", path=where, line=line) from None
    except CallerError as error:
        raise PushFailed(
            f"`{name}`: {error}", path=path, line=code.co_firstlineno
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
    )


def _line_of(
    node: ast.FunctionDef | ast.AsyncFunctionDef | None, parameter: str | None
) -> int | None:
    if node is None:
        return None
    if parameter == "return":
        return node.returns.lineno if node.returns is not None else node.lineno
    arguments = node.args
    everything = [
        *arguments.posonlyargs,
        *arguments.args,
        *arguments.kwonlyargs,
        arguments.vararg,
        arguments.kwarg,
    ]
    for argument in everything:
        if argument is not None and argument.arg == parameter:
            return argument.lineno
    return node.lineno


def _check_awaits(
    function: FunctionDefinition[..., Any], node: ast.FunctionDef | ast.AsyncFunctionDef
) -> None:
    """Refuses `await ctx.…` where ctx calls are plain."""
    everything = [*node.args.posonlyargs, *node.args.args]
    ctx = everything[0].arg if everything else "ctx"
    for inner in ast.walk(node):
        if isinstance(inner, ast.Await) and ctx in _root(inner.value):
            call = ast.unparse(inner.value)
            raise BadAnnotation(
                f"calls on `{ctx}` in a {function.kind} are plain: write `{call}` without `await`.",
                line=inner.lineno,
            )
        if isinstance(inner, ast.AsyncFor) and ctx in _root(inner.iter):
            raise BadAnnotation(
                f"calls on `{ctx}` in a {function.kind} are plain: write `for`, not `async for`.",
                line=inner.lineno,
            )
        if (
            isinstance(inner, ast.comprehension)
            and inner.is_async
            and ctx in _root(inner.iter)
        ):
            raise BadAnnotation(
                f"calls on `{ctx}` in a {function.kind} are plain: write `for`, not `async for`.",
                line=inner.iter.lineno,
            )


def _check_decorators(parsed: ParsedModule) -> None:
    for node in parsed.defs.values():
        names = [_decorator_name(decorator) for decorator in node.decorator_list]
        for above, name in zip(names, names[1:], strict=False):
            if (
                name in _DECORATORS
                and above not in _DECORATORS
                and above not in ("route",)
            ):
                raise PushFailed(
                    f"`{node.name}`: other decorators go below `@{name}`: swap `@{above}` and `@{name}`.",
                    path=parsed.source.path,
                    line=node.decorator_list[0].lineno,
                )


def _decorator_name(node: ast.expr) -> str:
    if isinstance(node, ast.Call):
        node = node.func
    return (
        node.attr
        if isinstance(node, ast.Attribute)
        else node.id
        if isinstance(node, ast.Name)
        else "…"
    )


def _missing_references(modules: ModuleSet) -> list[Warned]:
    """`api.…` and `internal.…` chains in the sources that name no function."""
    missing = []
    for path in modules.paths:
        loaded = modules.load(path)
        roots = {
            name
            for name, value in vars(loaded.namespace).items()
            if type(value).__name__ == "Reference"
            and type(value).__module__ == FunctionDefinition.__module__
        }
        for node, chain in _chains(loaded.parsed.tree):
            if chain[0] not in roots or len(chain) < 2:
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
                reference = ".".join(chain)
                missing.append(
                    Warned(
                        path,
                        node.lineno,
                        f"`{reference}` names no function yet: there is no `{target}`.",
                    )
                )
    return missing


def _chains(tree: ast.AST) -> Iterator[tuple[ast.Attribute, list[str]]]:
    """The longest attribute chains on a plain name."""
    inner = {
        id(node.value) for node in ast.walk(tree) if isinstance(node, ast.Attribute)
    }
    for node in ast.walk(tree):
        if not isinstance(node, ast.Attribute) or id(node) in inner:
            continue
        names: list[str] = []
        part: ast.expr = node
        while isinstance(part, ast.Attribute):
            names.append(part.attr)
            part = part.value
        if isinstance(part, ast.Name):
            yield node, [part.id, *reversed(names)]
