"""Modules: source text turned into functions.

A module set is what one version of a deployment's code is: sources by path,
`admin/users` being `convex/admin/users.py`. Modules import one another by relative
imports only, and live beside Python's own modules without hiding any: a user
module called `logging` is `.logging` to its neighbours.

A module's version is a hash of its source and of all that it imports, so equal
versions run equal code; a set made from an earlier one keeps the modules whose
version did not change, loaded.

Their texts and who imports whom are `module_sources`; what one module is once it has
run, with M1 and M2, is `loaded`; what a push asks of a set is `analysis`.
"""

from __future__ import annotations

import re
import sys
import threading
import types
from typing import TYPE_CHECKING, Any, Final

from convexlab.errors import CallerError, NotFound, PushFailed
from convexlab.functions import determinism, replacements
from convexlab.functions.auth_config import AUTH_CONFIG
from convexlab.functions.definition import FunctionDefinition, making, split_path
from convexlab.functions.environment import Variables, not_set
from convexlab.functions.hints import OF_THE_FOLDER, circular, meant
from convexlab.functions.http import HttpRouter
from convexlab.functions.loaded import LoadedModule
from convexlab.functions.module_sources import Imports, import_target, parsed_modules
from convexlab.functions.syntax import ParsedModule, Refused
from convexlab.functions.tracebacks import describe, user_frames, user_line

if TYPE_CHECKING:
    from collections.abc import Iterable

    from convexlab.functions.module_sources import ModuleSource

_HTTP: Final = "http"
_NO_NAME: Final = re.compile(
    rf"cannot import name '(\w+)' from '{determinism.USER_PACKAGE}\.([\w.]+)'"
)


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
        self._parsed: dict[str, ParsedModule] = parsed_modules(sources, known)
        self._imports = Imports(self._parsed)
        self.versions = {path: self._imports.version(path) for path in self._parsed}
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
                self.load(each) for each in (path, *sorted(self._imports.of(path)))
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
        elif said := self._not_there(parsed, error):
            pass
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
        if package == "convex":
            return OF_THE_FOLDER
        if name.replace(".", "/") in self._parsed or package in self._parsed:
            return f"`{name}` is a module of this deployment: write `from .{name} import …`, or `from . import {name}`."
        return (
            f"the package `{package}` is not installed where the deployment runs: install it there "
            f"(`pip install {package}`), then push again."
        )

    def _not_there(self, parsed: ParsedModule, error: BaseException) -> str:
        """What a neighbour does not have, or not yet; nothing of other errors."""
        found = _NO_NAME.match(str(error))
        if found is None or not isinstance(error, ImportError):
            return ""
        name, target = found[1], found[2].replace(".", "/")
        if parsed.path in self._imports.of(target):
            return circular(parsed.path, target, name)
        there = [each for each in vars(self.load(target).namespace) if each[0] != "_"]
        return f"there is no `{name}` in the module `{target}`{meant(name, there)}"

    def _import(
        self, importer: str, name: str, names: tuple[str, ...], level: int
    ) -> Any:
        """What a relative import of a user module gets."""
        target = import_target(importer, name, level)
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
