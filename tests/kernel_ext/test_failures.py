"""What a deployment's refusal is."""

from __future__ import annotations

import pytest

from convexlab.errors import (
    CallerError,
    ConvexError,
    FunctionFailed,
    InvalidArguments,
    LimitExceeded,
    NotAllowed,
    NotFound,
    StorageIdNotFound,
    Unavailable,
)
from convexlab_kernel import failures
from convexlab_kernel.failures import RemoteFrame

TEXT = """[Request ID: 4f0c2a9d1b7e6a35] Server Error
Uncaught ZeroDivisionError: division by zero
  File "convex/admin/tasks.py", line 7, in boom
    return helper(1)
  File "convex/shared.py", line 3, in helper
    return a / 0"""


def test_a_failed_function_has_sentence_and_frames_apart():
    error = failures.failed(TEXT)
    assert type(error) is FunctionFailed
    assert str(error) == "ZeroDivisionError: division by zero"
    assert list(failures.frames(error.traceback)) == [
        RemoteFrame("admin/tasks", 7, "boom"),
        RemoteFrame("shared", 3, "helper"),
    ]
    assert "convex/shared.py" in error.__notes__[0]


def test_pythons_own_order_is_understood_too():
    text = 'Traceback (most recent call last):\n  File "convex/t.py", line 2, in f\nKeyError: 1'
    sentence, traceback = failures.split(text)
    assert sentence == "KeyError: 1"
    assert list(failures.frames(traceback)) == [RemoteFrame("t", 2, "f")]


def test_application_errors_carry_their_data():
    error = failures.failed(
        TEXT, data={"code": "not_found", "n": {"$integer": "BQAAAAAAAAA="}}
    )
    assert isinstance(error, ConvexError)
    assert error.data == {"code": "not_found", "n": 5}
    assert isinstance(failures.failed("x", data=None), ConvexError)


@pytest.mark.parametrize(
    ("text", "kind"),
    [
        ("Could not find public function for 'm:f'.", NotFound),
        (
            "ArgumentValidationError: Object is missing the required field `a`.",
            InvalidArguments,
        ),
        ("[Request ID: 4f0c2a9d1b7e6a35] Server Error", FunctionFailed),
    ],
)
def test_what_the_text_says_is_the_kind(text, kind):
    assert type(failures.failed(text)) is kind


@pytest.mark.parametrize(
    ("status", "body", "kind", "text"),
    [
        (403, b'{"code":"BadDeployKey","message":"no"}', NotAllowed, "no"),
        (401, b"", NotAllowed, "The deployment answered 401"),
        (404, b'{"code":"NotFound","message":"gone"}', NotFound, "gone"),
        (503, b"<html>", Unavailable, "<html>"),
        (400, b'{"code":"BadJsonBody","message":"what"}', CallerError, "what"),
        (
            400,
            b'{"code":"ArgumentValidationError","message":"x"}',
            InvalidArguments,
            "x",
        ),
    ],
)
def test_a_refused_request_is_typed(status, body, kind, text):
    error = failures.refused(status, body)
    assert type(error) is kind
    assert str(error) == text


def test_what_is_of_a_kind_is_raised_as_that_kind():
    error = failures.failed(
        "StorageIdNotFound: storage id x not found", code="StorageIdNotFound"
    )
    assert type(error) is StorageIdNotFound
    assert isinstance(error, NotFound)
    assert str(error) == "storage id x not found"


def test_a_class_says_its_name_once():
    error = failures.failed(
        "LimitExceeded: The document is too large.", code="LimitExceeded"
    )
    assert isinstance(error, LimitExceeded)
    assert str(error) == "The document is too large."
