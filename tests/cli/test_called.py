from __future__ import annotations

import pytest

from convexlab import Int64
from convexlab.cli.called import arguments_of, identity_of, path_of
from convexlab.errors import InvalidArguments


@pytest.mark.parametrize(
    ("name", "path"),
    [
        ("tasks:list", "tasks:list"),
        ("tasks", "tasks"),
        ("admin/users:list", "admin/users:list"),
        ("api.tasks.list", "tasks:list"),
        ("internal.admin.users.list", "admin/users:list"),
        ("convex/tasks.py:list", "tasks:list"),
        ("convex/admin/users.py:list", "admin/users:list"),
        ("convex/tasks.ts:list", "tasks:list"),
        ("tasks.py", "tasks"),
    ],
)
def test_a_function_has_many_spellings(name: str, path: str, tmp_path) -> None:
    assert path_of(name, tmp_path / "convex") == path


def test_a_folder_of_the_functions_own_name_is_meant(tmp_path) -> None:
    nested = tmp_path / "convex" / "convex"
    nested.mkdir(parents=True)
    (nested / "tasks.py").touch()
    functions = tmp_path / "convex"
    assert path_of("convex/tasks.py:list", functions) == "convex/tasks:list"
    assert path_of("convex/others.py:list", functions) == "others:list"


@pytest.mark.parametrize(
    ("text", "values"),
    [
        ("{}", {}),
        ('{"limit": 10, "of": ["a", null]}', {"limit": 10, "of": ["a", None]}),
        ("{limit: 10, done: false,}", {"limit": 10, "done": False}),
        ("{'a b': 'it\\'s \"so\"', c: [1, 2,],}", {"a b": 'it\'s "so"', "c": [1, 2]}),
        ('{"text": "a: b, {c: \'d\',}"}', {"text": "a: b, {c: 'd',}"}),
        ('{n: {"$integer": "BQAAAAAAAAA="}}', {"n": Int64(5)}),
    ],
)
def test_arguments_may_be_written_as_in_javascript(text, values) -> None:
    assert arguments_of(text) == values


@pytest.mark.parametrize("text", ["{", "[1]", "5", "{a b: 1}"])
def test_what_is_no_object_is_refused(text: str) -> None:
    with pytest.raises(InvalidArguments, match="ARGUMENTS is one JSON object"):
        arguments_of(text)
    with pytest.raises(InvalidArguments, match="--identity is one JSON object"):
        identity_of(text)


def test_who_is_not_named_is_named_as_npx_convex_does() -> None:
    """The numbers are `simpleHash`'s, of `convex/src/cli/lib/run.ts`."""
    named = {"subject": "ann", "issuer": "https://convex.test"}
    assert identity_of("{subject: 'ann'}") == named
    assert identity_of("{name: 'Ann'}")["subject"] == "1947614628"
    long = '{"name": "Änn 😀 long text so that it is negative"}'
    assert identity_of(long)["subject"] == "-1506627746"
    assert (
        identity_of('{"issuer": "https://i", "subject": "s"}')["issuer"] == "https://i"
    )
