from __future__ import annotations

import json

import pytest
from tests.functions.lab import Lab, analysis_of, lab_of

from convexlab.errors import PushFailed


def echo(
    signature: str,
    *,
    header: str = "",
    decorator: str = "@query",
    body: str = "return repr(locals())",
) -> str:
    return f"{header}\n{decorator}\ndef f({signature}):\n    del ctx\n    {body}\n"


def arguments(signature: str, args: dict, **options) -> str:
    return lab_of(echo(signature, **options)).query("m:f", **args)


def test_arguments_arrive_by_name() -> None:
    assert arguments("ctx, a: int, b: float = 2", {"a": 1.0}) == "{'a': 1, 'b': 2}"
    assert arguments("ctx, *, a", {"a": [1.5]}) == "{'a': [1.5]}"


def test_a_default_makes_a_parameter_optional() -> None:
    assert arguments("ctx, a: str = 'x'", {}) == "{'a': 'x'}"
    assert arguments("ctx, a: str | None = None", {}) == "{'a': None}"
    assert arguments("ctx, a: str | None = None", {"a": None}) == "{'a': None}"
    assert arguments("ctx, a: str = UNDEFINED", {}) == "{'a': UNDEFINED}"
    error = lab_of(echo("ctx, a: str = UNDEFINED")).query_error("m:f", a=None)
    assert error.message.startswith(
        "ArgumentValidationError: Value does not match validator."
    )


def test_other_arguments_are_refused() -> None:
    error = lab_of(echo("ctx, a: str")).query_error("m:f", a="x", b=1)
    assert (
        "Object contains extra field `b` that is not in the validator." in error.message
    )
    error = lab_of(echo("ctx, a: str")).query_error("m:f")
    assert "Object is missing the required field `a`." in error.message


def test_rest_takes_further_arguments() -> None:
    assert (
        arguments("ctx, a: int, **rest", {"a": 1.0, "b": "x"})
        == "{'a': 1, 'rest': {'b': 'x'}}"
    )
    assert arguments("ctx, **rest: int", {"b": 2.0}) == "{'rest': {'b': 2}}"
    error = lab_of(echo("ctx, **rest: int")).query_error("m:f", b="x")
    assert "ArgumentValidationError" in error.message


def test_a_trailing_underscore_is_not_part_of_the_name() -> None:
    assert (
        arguments("ctx, from_: str, id_: int = 0", {"from": "a", "id": 1.0})
        == "{'from_': 'a', 'id_': 1}"
    )


def test_args_are_spelled_out() -> None:
    decorator = "@query(args={'taskId': v.id('tasks'), 'n': v.optional(v.number())})"
    lab = lab_of(echo("ctx, taskId, n", decorator=decorator))
    (task,) = lab.insert("tasks", {})
    assert lab.query("m:f", taskId=task) == f"{{'taskId': '{task}', 'n': None}}"
    (other,) = lab.insert("others", {})
    error = lab.query_error("m:f", taskId=other)
    assert f"Found ID `{other}` from table `others`" in error.message
    assert "Path: .taskId" in error.message


def test_args_may_be_any_object() -> None:
    decorator = "@query(args=v.any())"
    assert (
        arguments("ctx, a, **rest", {"a": 1.0, "b": 2.0}, decorator=decorator)
        == "{'a': 1.0, 'rest': {'b': 2.0}}"
    )
    lab = lab_of(echo("ctx, a", decorator=decorator))
    assert "needs the argument `a`" in lab.query_error("m:f").message
    assert "takes no argument `b`" in lab.query_error("m:f", a=1, b=2).message


def test_what_args_name_may_arrive_among_the_rest() -> None:
    """It is all that there is: checked, and nothing else is taken."""
    decorator = (
        "@query(args={'from': v.string(), 'to': v.optional(v.number()), 'a': v.any()})"
    )
    said = arguments("ctx, a, **rest", {"a": 1.0, "from": "x"}, decorator=decorator)
    assert said == "{'a': 1.0, 'rest': {'from': 'x'}}"
    lab = lab_of(echo("ctx, a, **rest", decorator=decorator))
    for wrong in ({"from": 1.0}, {"from": "x", "to": "y"}, {"from": "x", "b": 1}, {}):
        error = lab.query_error("m:f", **{"a": 1, **wrong})
        assert "ArgumentValidationError" in error.message, wrong


def test_args_take_a_validator_and_trailing_underscores() -> None:
    decorator = "@query(args=v.object({'from': v.string()}))"
    assert (
        arguments("ctx, from_", {"from": "a"}, decorator=decorator) == "{'from_': 'a'}"
    )


def test_annotations_of_ctx_are_not_read() -> None:
    assert arguments("ctx: 'Whatever', a: int", {"a": 1.0}) == "{'a': 1}"


def test_postponed_annotations_are_read_when_the_module_has_run() -> None:
    lab = lab_of(
        """
        from dataclasses import dataclass

        @query
        def f(ctx, task: "Task", tasks: "list[Task]"):
            return [task.name, *(t.name for t in tasks)]

        @dataclass
        class Task:
            name: str
        """
    )
    assert lab.query("m:f", task={"name": "a"}, tasks=[{"name": "b"}]) == ["a", "b"]


def test_the_future_import_works_with_every_class() -> None:
    text = """
from __future__ import annotations
import enum
from dataclasses import dataclass
from typing import TypedDict, NotRequired
from pydantic import BaseModel
from convexlab import query, Id

class Color(enum.Enum):
    RED = "red"

@dataclass
class Point:
    x: float
    color: Color = Color.RED

class Address(TypedDict):
    city: str
    point: NotRequired[Point]

class Home(BaseModel):
    city: str

class User(BaseModel):
    name: str
    home: Home | None = None

@query
def f(ctx, user: User, point: Point, address: Address, owner: Id.users | None = None) -> dict:
    return {"r": repr([user, point, address, owner])}
"""
    lab = Lab({"m": text})
    result = lab.query(
        "m:f",
        user={"name": "a", "home": {"city": "B"}},
        point={"x": 1, "color": "red"},
        address={"city": "C", "point": {"x": 2}},
    )["r"]
    assert "User(name='a', home=Home(city='B'))" in result
    assert "Point(x=1.0, color=<Color.RED: 'red'>)" in result
    assert "{'city': 'C', 'point': Point(x=2.0" in result


def test_local_names_of_a_factory_are_seen() -> None:
    lab = lab_of(
        """
        def make(table):
            T = Id[table]
            @query
            def get(ctx, id: T):
                return ctx.db.get(id)
            return get

        get_task = make("tasks")
        """
    )
    (task,) = lab.insert("tasks", {"a": 1})
    assert lab.query("m:get_task", id=task)["a"] == 1


@pytest.mark.parametrize(
    ("source", "line", "advice"),
    [
        ("@query\ndef f(ctx,\n      *names): ...", 5, r"write `names: list\[T\]`"),
        ("@query\ndef f(ctx, a, /): ...", 4, "positional-only"),
        ("@query\ndef f(): ...", 4, r"write `def f\(ctx, …\)`"),
        ("@query\ndef f(*, ctx): ...", 4, r"write `def f\(ctx, …\)`"),
        (
            "import datetime\n@query\ndef f(ctx,\n      a: int,\n      when: datetime.datetime): ...",
            7,
            "to_ms",
        ),
        ("@query\ndef f(ctx) -> set[str]: ...", 4, r"the result: .*write `list\[T\]`"),
        (
            "@query\ndef f(ctx, a: 'Missing'): ...",
            4,
            "`Missing` is not defined.*TYPE_CHECKING",
        ),
        ("@query(args={'a': v.string()})\ndef f(ctx): ...", 4, "no such parameter"),
        ("@query(args={})\ndef f(ctx, a): ...", 4, "`a` is not in `args=`"),
        ("@query(args=v.string())\ndef f(ctx): ...", 4, r"`args=` takes a dict"),
        ("@query(returns=3)\ndef f(ctx): ...", 4, "`returns=` takes a validator"),
        ("@query\ndef f(ctx):\n    yield 1", 4, "return a list instead"),
        ("@query\ndef f(ctx, a_: int, a: int): ...", 4, "one name to callers"),
        (
            "from dataclasses import dataclass\n@dataclass\nclass T:\n    s: set\n@query\ndef f(ctx, t: T): ...",
            8,
            "field `s` of `T`",
        ),
    ],
)
def test_a_bad_signature_is_refused_with_its_line(source, line, advice) -> None:
    with pytest.raises(PushFailed, match=advice) as caught:
        analysis_of(source)
    assert (caught.value.path, caught.value.line) == ("m", line)


def test_a_class_that_refers_to_itself_is_refused() -> None:
    with pytest.raises(PushFailed, match="refers to itself") as caught:
        analysis_of(
            """
            from dataclasses import dataclass
            @dataclass
            class Tree:
                children: "list[Tree]"
            @query
            def f(ctx, tree: Tree): ...
            """
        )
    assert caught.value.line == 9


def test_the_result_is_checked() -> None:
    lab = lab_of(
        """
        @query
        def good(ctx) -> list[str]: return ["a"]
        @query
        def bad(ctx) -> list[str]: return [1]
        @query(returns=v.number())
        def wins(ctx) -> str: return 1
        @query
        def nothing(ctx) -> None: pass
        @query
        def docs(ctx) -> list[Doc]: return [{"a": 1}]
        @query
        def not_docs(ctx) -> list[Doc]: return [1]
        """
    )
    assert lab.query("m:good") == ["a"]
    assert lab.query_error("m:bad").message.startswith(
        "ReturnsValidationError: Value does not match validator."
    )
    assert lab.query("m:wins") == 1
    assert lab.query("m:nothing") is None
    assert lab.query("m:docs") == [{"a": 1}]
    assert "ReturnsValidationError" in lab.query_error("m:not_docs").message


def test_a_bad_result_undoes_a_mutation() -> None:
    lab = lab_of(
        """
        @mutation
        def f(ctx) -> str:
            ctx.db.insert("t", {})
            return 1
        @query
        def count(ctx): return ctx.db.query("t").count()
        """
    )
    assert "ReturnsValidationError" in lab.mutation_error("m:f").message
    assert lab.query("m:count") == 0


def test_the_function_spec_says_what_is_taken() -> None:
    analysis = analysis_of(
        '''
        @query
        def list_(ctx, owner: Id.users, limit: int = 50) -> list[str]:
            """Tasks of an owner."""
        '''
    )
    (spec,) = analysis.functions
    assert json.loads(json.dumps(spec.to_json())) == {
        "identifier": "m.js:list",
        "functionType": "Query",
        "visibility": {"kind": "public"},
        "args": {
            "type": "object",
            "value": {
                "owner": {
                    "fieldType": {"type": "id", "tableName": "users"},
                    "optional": False,
                },
                "limit": {"fieldType": {"type": "number"}, "optional": True},
            },
        },
        "returns": {"type": "array", "value": {"type": "string"}},
    }
    assert spec.description == "Tasks of an owner."
