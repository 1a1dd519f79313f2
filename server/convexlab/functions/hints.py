"""Hints: what to do about an error that comes from how functions run here.

Python's own words say what happened; a hint is the sentence after them, for what
people who are new to convexlab write first: a name that only the kernel has, an
import that was left out, modules that import each other.
"""

from __future__ import annotations

import difflib
import re
import sys
from typing import Final

from convexlab import knobs

_AWAITED: Final = "can't be used in 'await' expression"
_NO_NAME: Final = re.compile(r"cannot import name '(\w+)' from 'convexlab'")

OF_THE_FOLDER: Final = (
    "modules of the deployment are imported with a dot and without the folder's name: "
    "`from .tasks import …`, not `from convex.tasks import …`. (The package `convex`, "
    "Python's client, is not installed where the deployment runs.)"
)

# What is used so often that its import is forgotten.
_IMPORTS: Final = {
    "np": "import numpy as np",
    "pd": "import pandas as pd",
    "datetime": "from datetime import datetime",
    "timedelta": "from datetime import timedelta",
    "Any": "from typing import Any",
    "Literal": "from typing import Literal",
    **{
        name: f"import {name}"
        for name in (
            *("asyncio", "base64", "functools", "hashlib", "httpx", "itertools"),
            *("json", "logging", "math", "os", "random", "re", "time", "uuid"),
        )
    },
}


def hint_for(error: BaseException) -> str:
    """The sentence to put behind an error's own words, or nothing."""
    match error:
        case UnboundLocalError():
            return ""
        case NameError():
            return f". {_missing_name(error.name or 'the name')}"
        case AttributeError(name=str(name), obj=obj) if obj is not None:
            return _missing_attribute(name, obj)
        case ImportError() if found := _NO_NAME.search(str(error)):
            return meant(found[1], _public())
        case MemoryError():
            most = knobs.FUNCTION_MEMORY_BYTES / (1 << 30)
            return f". A function's process may take {most:g} GiB of memory."
        case TypeError() if _AWAITED in str(error):
            return ". Calls on `ctx` in queries and mutations are plain: remove the `await`."
        case _:
            return ""


def meant(name: str, names: list[str]) -> str:
    """`. Is … meant?` for the one of these names that is nearly `name`; else nothing."""
    near = difflib.get_close_matches(name, names, 1)
    return f". Is `{near[0]}` meant?" if near else ""


def circular(importer: str, imported: str, name: str) -> str:
    """What to do where two modules import each other, in place of Python's words.

    Args:
        importer: the path of the module whose import failed.
        imported: that of the module which is not loaded to its end.
        name: what it does not have yet.
    """
    dotted = imported.replace("/", ".")
    return (
        f"`{importer}` and `{imported}` import each other, so `{name}` is not there yet "
        f"when `{importer}` asks for it. A function is called without an import, as "
        f"`api.{dotted}.{name}`; what else both need goes into a third module."
    )


def _public() -> list[str]:
    """The names that users import; what exports them stands above this layer."""
    names: list[str] = sys.modules["convexlab"].__all__
    return names


def _missing_name(name: str) -> str:
    if name in _public():
        return _imported(name, f"from convexlab import {name}")
    if name in _IMPORTS:
        return _imported(name, _IMPORTS[name])
    if name == "db":
        return "`db` is the notebook's: inside of a function the database is `ctx.db`."
    return (
        f"`{name}` is not defined in this module: a cell with %%convex sees no variable of the "
        f"notebook's kernel. Pass the value as an argument (`def f(ctx, {name})`), or define or import it here."
    )


def _imported(name: str, statement: str) -> str:
    return f"A module brings its own imports, and this one does not have `{name}`: `{statement}`."


def _missing_attribute(name: str, obj: object) -> str:
    if type(obj) is dict:
        return (
            f'. What is in a document or another dict is read by its key: `["{name}"]`.'
        )
    if type(obj).__module__.startswith("convexlab."):
        return meant(name, [each for each in dir(obj) if not each.startswith("_")])
    return ""
