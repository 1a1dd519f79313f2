"""Errors keep their class, their words and their place across processes."""

from __future__ import annotations

import pytest

from convexlab.errors import (
    ConvexlabError,
    InvalidArguments,
    NotFound,
    ProcessDied,
    PushFailed,
    SchemaViolation,
)
from convexlab.functions.processes.failures import error_from, failure_from


@pytest.mark.parametrize(
    "error",
    [
        NotFound("Index t.i not found."),
        InvalidArguments("`limit` is a string here."),
        SchemaViolation("tasks.due is a string here."),
        ProcessDied("The function ended its process."),
    ],
    ids=lambda error: type(error).__name__,
)
def test_an_error_comes_back_as_it_went(error: ConvexlabError) -> None:
    back = error_from(failure_from(error))
    assert type(back) is type(error)
    assert str(back) == str(error)


def test_a_refused_push_keeps_its_place() -> None:
    error = PushFailed("no", path="admin/users", line=12, traceback="  in list_")
    back = error_from(failure_from(error))
    assert isinstance(back, PushFailed)
    assert (back.path, back.line, back.traceback) == ("admin/users", 12, "  in list_")
