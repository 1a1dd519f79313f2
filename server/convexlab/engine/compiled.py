"""Whether the engine that runs is compiled: wheels may bring it so (`hatch_build.py`)."""

from __future__ import annotations

from convexlab.engine import view


def is_compiled() -> bool:
    """Whether this engine's modules are machine code, and not read as Python."""
    return not str(view.__file__).endswith(".py")


def engine_in_words() -> str:
    """For people: `compiled engine` or `engine in pure Python`."""
    return "compiled engine" if is_compiled() else "engine in pure Python"
