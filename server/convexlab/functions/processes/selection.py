"""Selections: which tables, and which of their fields, a stream of documents has.

    {}                                             everything
    {"tableName": "users"}                         one table
    {"selection": {"": {"users": {"ssn": "excluded", "_other": "included"}}}}

Components, tables and fields that a selection does not name are as its `_other` says,
which is "excluded" if it says nothing. There is one component, the root, named "".
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final, Literal

from convexlab.errors import InvalidArguments

if TYPE_CHECKING:
    from collections.abc import Mapping

    from convexlab.engine.write_set import Document

_WORDS: Final[Mapping[str, bool]] = {"included": True, "excluded": False}
_OTHER: Final = "_other"
_ROOT: Final = ""


@dataclass(frozen=True, slots=True)
class Selection:
    """What is wanted, at one level: named ones, and all others.

    Attributes:
        named: each a whole, nothing, or a selection of what is in it.
        others: whether those that are not named are wanted.
    """

    named: Mapping[str, bool | Selection]
    others: bool

    def of(self, name: str) -> bool | Selection:
        """Whether, and of what, this one is wanted."""
        return self.named.get(name, self.others)

    def fields(self, table: str, document: Document) -> Document:
        """What is wanted of a document; its id always is."""
        chosen = self.of(table)
        if not isinstance(chosen, Selection):
            return document
        return {
            name: value
            for name, value in document.items()
            if name == "_id" or chosen.of(name)
        }


EVERYTHING: Final = Selection({}, others=True)


def selection_of(
    table: str | None = None, component: str | None = None, told: object = None
) -> Selection:
    """The tables that are wanted.

    Args:
        table: this one alone.
        component: those of this component: there is one, "".
        told: a selection as JSON has it, of components.

    Raises:
        InvalidArguments: it is none, or two of these contradict each other.
    """
    if told is not None:
        if table is not None or component:
            raise InvalidArguments(
                "`selection` says it all: leave `tableName` and `component` out."
            )
        root = _read(told, "selection", depth=3)
        chosen = root if isinstance(root, bool) else root.of(_ROOT)
        return chosen if isinstance(chosen, Selection) else Selection({}, others=chosen)
    if component:
        raise InvalidArguments(f"There is no component `{component}`: there are none.")
    return EVERYTHING if table is None else Selection({table: True}, others=False)


def _read(told: object, where: str, *, depth: Literal[0, 1, 2, 3]) -> bool | Selection:
    if isinstance(told, str) and told in _WORDS and depth < 3:
        return _WORDS[told]
    if not isinstance(told, dict) or depth == 0:
        raise InvalidArguments(
            f'{where} is {told!r}: it takes "included" or "excluded"'
            + (" or an object of them." if depth else ".")
        )
    fields: dict[str, Any] = dict(told)
    others = _read(fields.pop(_OTHER, "excluded"), f"{where}._other", depth=0)
    assert isinstance(others, bool), "a word is a whole or nothing"
    below: Any = depth - 1
    named = {
        name: _read(each, f"{where}.{name}", depth=below)
        for name, each in fields.items()
    }
    return Selection(named, others)
