"""What a notebook or a folder is, against what a deployment runs: is it the same code?

    digest(modules)     a short name of the code: equal where the modules are equal
    same(…)             says that a deployment runs it, or fails and says where not

Cells and files spell modules alike (`# %%convex tasks` and `%%convex tasks` are one
text), so code has one digest however it came.
"""

from __future__ import annotations

import hashlib
from typing import TYPE_CHECKING, Any, Final

import msgspec

from convexlab.errors import CallerError
from convexlab_kernel.pushing import Module

if TYPE_CHECKING:
    from collections.abc import Sequence

    from convexlab_kernel.client import Database

# Enough that two of one project's never agree by chance; git shows as many.
_DIGITS: Final = 12


def digest(modules: Sequence[dict[str, Any]]) -> str:
    """A name of these modules' paths and texts, whatever their order and origin."""
    told = sorted((module["path"], module["source"]) for module in modules)
    return hashlib.sha256(msgspec.json.encode(told)).hexdigest()[:_DIGITS]


def same(
    database: Database, modules: Sequence[dict[str, Any]], *, notebook: str | None
) -> str:
    """That a deployment runs these modules, in words.

    Raises:
        CallerError: it does not; names each module that is another one.
    """
    found = differences(database, modules, notebook=notebook)
    if found:
        listed = "\n".join(found)
        message = f"{database.name} does not run this code ({digest(modules)})"
        raise CallerError(f"{message}:\n{listed}")
    return f"{database.name} runs this code: {digest(modules)}"


def differences(
    database: Database, modules: Sequence[dict[str, Any]], *, notebook: str | None
) -> list[str]:
    """How a deployment's modules are not these, in words; empty where they are.

    Args:
        database: the deployment.
        modules: as a push takes them.
        notebook: compare that notebook's modules only; None: all that is deployed.
    """
    wanted = {module["path"]: module["source"] for module in modules}
    found: list[str] = []
    for module in database.status().modules:
        origin = module.origin
        own = origin is not None and (origin.kind, origin.name) == ("cell", notebook)
        if module.path in wanted:
            if _source(database, module.path) != wanted.pop(module.path):
                came = "" if origin is None else f" (there it came from {origin})"
                found.append(f"`{module.path}` is another one{came}")
        elif own or notebook is None:
            found.append(f"`{module.path}` is there and not here")
    return [*found, *(f"`{path}` is not there" for path in wanted)]


def _source(database: Database, path: str) -> str | None:
    return database.attachment.get(f"/api/convexlab/module?path={path}", Module).source
