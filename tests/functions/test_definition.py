from __future__ import annotations

import pytest

from convexlab.errors import InvalidArguments, NotAllowed
from convexlab.functions.definition import (
    api,
    camel_case,
    get_function_name,
    internal,
    internal_mutation,
    make_function_reference,
    mutation,
    query,
    reference_path,
    split_path,
)


def test_a_decorator_keeps_the_handler_and_its_docstring() -> None:
    @query
    def get(ctx, taskId):  # noqa: N803
        """One task."""
        return ctx, taskId

    assert get.kind == "query"
    assert get.visibility == "public"
    assert get.__doc__ == "One task."
    assert get.handler("ctx", 1) == ("ctx", 1)


def test_a_decorator_takes_options() -> None:
    @internal_mutation(name="getByChannel")
    def get_by_channel(ctx):
        return None

    assert (get_by_channel.kind, get_by_channel.visibility) == ("mutation", "internal")
    assert get_by_channel.name == "getByChannel"


def test_calling_a_definition_names_both_ways() -> None:
    @mutation
    def create(ctx):
        return None

    with pytest.raises(
        NotAllowed, match=r"create\.handler\(ctx, …\).*ctx\.run_mutation\(create, …\)"
    ):
        create(None)


@pytest.mark.parametrize("wrong", [3, "create", int, None.__class__])
def test_a_decorator_goes_above_a_def(wrong) -> None:
    with pytest.raises(InvalidArguments, match="goes above a `def`"):
        query(wrong)


def test_two_decorators_are_one_too_many() -> None:
    with pytest.raises(InvalidArguments, match="already"):
        query(mutation(lambda ctx: None))


def test_a_bad_public_name_is_refused() -> None:
    with pytest.raises(InvalidArguments, match="no function name"):
        query(name="get-it")


def test_references_name_paths() -> None:
    assert reference_path(api.tasks.create) == "tasks:create"
    assert reference_path(internal.admin.users.list_) == "admin/users:list"
    assert reference_path(api["admin/users"].list) == "admin/users:list"
    assert reference_path(api.tasks) == "tasks:default"
    assert reference_path("tasks:create") == "tasks:create"
    assert reference_path(api.class_.from_) == "class:from"
    assert reference_path(api.tasks.path) == "tasks:path"
    assert api.tasks.create == internal.tasks.create
    assert repr(api.tasks.create) == "api.tasks.create"


def test_references_and_paths_lead_to_each_other() -> None:
    for path in ("tasks:create", "admin/users:list", "tasks:default"):
        assert get_function_name(make_function_reference(path)) == path
    assert make_function_reference("tasks:create") == api.tasks.create
    assert get_function_name(internal.logs.clear_old) == "logs:clear_old"
    assert get_function_name("tasks.js:create") == "tasks:create"
    assert get_function_name("tasks") == "tasks:default"
    assert get_function_name(make_function_reference("tasks")) == "tasks:default"
    assert get_function_name(make_function_reference("tasks:list_")) == "tasks:list_"


@pytest.mark.parametrize("path", ["", "tasks:", ":create", "a-b:c", "a:b:c", "/a:b"])
def test_what_is_no_path_makes_no_reference(path) -> None:
    with pytest.raises(InvalidArguments, match="is no function path"):
        make_function_reference(path)


def test_what_is_no_reference_is_refused() -> None:
    with pytest.raises(InvalidArguments, match="names no function"):
        reference_path(len)
    with pytest.raises(InvalidArguments, match="names no function"):
        reference_path(api)
    with pytest.raises(NotAllowed, match="is a reference"):
        api.tasks.create(text="hi")
    with pytest.raises(NotAllowed, match="belongs to no module"):
        reference_path(query(lambda ctx: None))


@pytest.mark.parametrize(
    ("path", "parts"),
    [
        ("tasks:create", ("tasks", "create")),
        ("a/b.js:f", ("a/b", "f")),
        ("tasks", ("tasks", "default")),
        ("tasks.js", ("tasks", "default")),
    ],
)
def test_paths_split_into_module_and_name(path, parts) -> None:
    assert split_path(path) == parts


def test_camel_case_is_javascripts_spelling() -> None:
    assert [camel_case(name) for name in ("get_by_channel", "list", "getIt", "_private")] == [
        "getByChannel", "list", "getIt", "_private",
    ]  # fmt: skip
