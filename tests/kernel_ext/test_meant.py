from __future__ import annotations

import pytest

from convexlab_kernel.meant import kind_instead, near_path

PATHS = ["tasks:list", "tasks:create", "admin/users:list_all"]


@pytest.mark.parametrize(
    ("written", "meant"),
    [
        ("tasks:lst", "tasks:list"),
        ("tasks.create", "tasks:create"),
        ("list_all", "admin/users:list_all"),
        ("zebra", None),
    ],
)
def test_the_function_that_is_meant(written: str, meant: str | None) -> None:
    assert near_path(written, PATHS) == meant


def test_another_kind_is_told_of_the_function_itself() -> None:
    """Not of one that it called, which fails in the same words."""
    said = "Trying to execute tasks.js:list as Mutation, but it is defined as Query."
    assert kind_instead("tasks:list", said) == "query"
    assert kind_instead("tasks:create", said) is None
    assert kind_instead("tasks:list", "Could not find function") is None
