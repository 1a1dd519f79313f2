"""Reading a `%convex` line."""

from __future__ import annotations

import pytest

from convexlab.errors import InvalidArguments
from convexlab_kernel.options import Options, evaluate, without_deployment


def test_arguments_are_one_python_expression_of_the_notebook():
    namespace = {"n": 3, "ids": ["a"]}
    assert evaluate('{"limit": n, "ids": [i for i in ids if n]}', namespace) == {
        "limit": 3,
        "ids": ["a"],
    }
    assert evaluate('{"a": true, "b": null, "c": false}', {}) == {
        "a": True,
        "b": None,
        "c": False,
    }
    assert evaluate("{'a': null}", {"null": 5}) == {"a": 5}


@pytest.mark.parametrize(
    ("expression", "text"),
    [
        ("{", "is not a Python expression"),
        ("nope", "NameError: name 'nope' is not defined"),
    ],
)
def test_a_bad_expression_is_named(expression, text):
    with pytest.raises(InvalidArguments, match=text):
        evaluate(expression, {})


@pytest.mark.parametrize(
    ("rest", "call", "deployment"),
    [
        ('tasks:list {"a": 1}', 'tasks:list {"a": 1}', None),
        ('--deployment demo tasks:list {"a": 1}', 'tasks:list {"a": 1}', "demo"),
        ('tasks:list {"a": 1} --deployment=demo', 'tasks:list {"a": 1}', "demo"),
        (
            'tasks:f {"a": "x --deployment y z"}',
            'tasks:f {"a": "x --deployment y z"}',
            None,
        ),
    ],
)
def test_the_deployment_stands_before_or_after_the_call(rest, call, deployment):
    assert without_deployment(rest) == (call, deployment)


def test_options_are_known_by_name():
    said = Options("tasks --limit 5 --append", values=("limit",), flags=("append",))
    assert said.one("a table") == "tasks"
    assert said.number("limit", 100) == 5
    assert said.flag("append")
    for rest, text in [
        ("--limt 5", r"--limt is not known here. Is --limit meant\?"),
        ("--limit", "--limit needs a value"),
        ("--limit x", "takes a whole number, not 'x'"),
    ]:
        with pytest.raises(InvalidArguments, match=text):
            Options(rest, values=("limit",)).number("limit", 1)
    with pytest.raises(InvalidArguments, match="This takes a file, and got: a b"):
        Options("a b").one("a file")
