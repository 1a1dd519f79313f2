"""`Id` as type checkers see it: any attribute is a type that takes ids, `Id.users`.

At run time `Id` is the class in `arguments`.
"""

from __future__ import annotations

from typing import Any


def __getattr__(name: str) -> Any: ...
