"""What stands where a call's arguments stood are the next one's, if it is one value."""

from __future__ import annotations

import json

import msgspec
import pytest
from hypothesis import given, strategies as st
from msgspec import Raw

from convexlab.web.asked import read_request, shape_of

texts = st.sampled_from(["a", "args", '"', "{}", "\\", "null", "1", "å"])
values = st.recursive(
    st.none() | st.booleans() | st.integers() | texts,
    lambda inner: st.lists(inner) | st.dictionaries(texts, inner),
    max_leaves=4,
)
objects = st.dictionaries(texts, values, max_size=3)


@st.composite
def bodies(draw) -> bytes:
    """Fields in any order, some twice, with any space between them."""
    fields = draw(
        st.lists(
            st.tuples(st.just("path"), texts)
            | st.tuples(st.just("args"), values)
            | st.tuples(st.just("format"), texts)
            | st.tuples(texts, values),
            max_size=5,
        )
    )
    space = draw(st.sampled_from(["", " ", "\n"]))
    said = [f"{json.dumps(name)}{space}:{space}{json.dumps(x)}" for name, x in fields]
    return f"{{{space}{f'{space},'.join(said)}{space}}}".encode()


# Texts that are a value, some that are none, and some that are more than one field.
middles = objects.map(lambda value: json.dumps(value).encode()) | st.sampled_from(
    [
        b"{}}",
        b"{}{}",
        b'{},"args":{}',
        b'{},"args":{"other":1}',
        b'{},"path":"other","x":{}',
        b'{"a":1},"format":"json","x":{"b":2}',
        b'{}, "args": [{}]}',
    ]
)


@given(bodies(), middles)
def test_a_body_of_a_known_shape_differs_in_its_arguments(body, middle):
    try:
        asked = read_request(body)
    except msgspec.MsgspecError:
        return
    shape = shape_of(body, asked)
    if shape is None:
        return
    other = shape.before + middle + shape.after
    assert shape.arguments_in(other) == middle
    try:
        json.loads(middle)
    except ValueError:
        return  # whoever runs it says so
    assert read_request(other) == msgspec.structs.replace(asked, args=Raw(middle))


def test_usual_bodies_have_a_shape():
    for body in (
        b'{"path":"m:f","args":{"e":[0.5,1e-3]},"format":"json"}',
        b'{"args": {"a": {}}, "path": "m:f"}',
    ):
        shape = shape_of(body, read_request(body))
        assert shape is not None
        assert shape.arguments_in(body) == bytes(read_request(body).args)


@pytest.mark.parametrize(
    "body",
    [
        b'{"path":"m:f"}',
        b'{"x":{"a":1},"args":{"a":1}}',
        b'{"args":{"a":1},"args":{"a":1}}',
        b'{"path":"null","args":null}',
        b'{"n":21,"args":1}',
    ],
)
def test_a_body_whose_arguments_may_be_elsewhere_has_no_shape(body):
    assert shape_of(body, read_request(body)) is None


def test_another_body_is_of_another_shape():
    body = b'{"path":"m:f","args":{},"format":"json"}'
    shape = shape_of(body, read_request(body))
    assert shape is not None
    for other in (
        body.replace(b"m:f", b"m:g"),
        body.replace(b"json", b"none"),
        body.replace(b"{}", b"[{}]"),
        body.replace(b"{}", b"{} "),
        body.replace(b"{}", b""),
    ):
        assert shape.arguments_in(other) is None
