from __future__ import annotations

import pytest

from convexlab.documents.references import (
    AttributePath,
    called_path,
    path_of_parts,
    wire_name,
)
from convexlab.errors import NotFound


class Called(AttributePath):
    """A reference, documented as the kernel's are."""

    __owner__: list[str]
    __shown_as__ = "here"

    def __call__(self) -> None:
        self.__owner__.append(called_path(self))


def test_attributes_spell_the_path_that_is_called() -> None:
    called: list[str] = []
    Called(called, ()).tasks.list_()
    Called(called, ("admin",)).users.from_()
    assert called == ["tasks:list", "admin/users:from"]
    assert repr(Called(called, ()).admin.users) == "<here.admin.users>"


def test_no_name_of_its_own_hides_a_users() -> None:
    called: list[str] = []
    taken = ["path", "name", "module", "parts", "owner", "_parts", "_owner"]
    taken += [each for each in dir(Called) if not each.startswith("__")]
    for name in taken:
        getattr(Called(called).tasks, name)()
        getattr(Called(called), name).list_()
    assert called == [
        path for name in taken for path in (f"tasks:{name}", f"{name}:list")
    ]


def test_one_name_is_of_a_modules_default() -> None:
    assert path_of_parts(("tasks",)) == "tasks:default"


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
