from __future__ import annotations

import pytest

from convexlab.documents.references import AttributePath, wire_name
from convexlab.errors import NotFound


class Called(AttributePath):
    _owner: list[str]
    _shown_as = "here"

    def __call__(self) -> None:
        self._owner.append(self._called_path())


def test_attributes_spell_the_path_that_is_called() -> None:
    called: list[str] = []
    Called(called, ()).tasks.list_()
    Called(called, ("admin",)).users.from_()
    assert called == ["tasks:list", "admin/users:from"]
    assert repr(Called(called, ()).admin.users) == "<here.admin.users>"


def test_a_module_is_not_called() -> None:
    with pytest.raises(NotFound, match=r"`tasks` is not a function: here\.MODULE"):
        Called([], ()).tasks()


def test_what_python_itself_asks_for_is_no_name() -> None:
    assert not hasattr(Called([], ()), "__wrapped__")


def test_one_trailing_underscore_is_not_part_of_a_name() -> None:
    assert [wire_name(name) for name in ("list_", "id_", "x", "a__", "_")] == [
        "list",
        "id",
        "x",
        "a_",
        "_",
    ]
