"""Embedding here and now: what it takes, and what it says without the library."""

from __future__ import annotations

import builtins
import sys
from types import ModuleType
from typing import Any

import numpy as np  # noqa: TID253 - what the library gives
import pytest

from convexlab.errors import InvalidArguments, NotFound
from convexlab.functions import embedding_model
from convexlab.functions.embedding_model import embed
from convexlab.testing import deployment

SCHEMA = """
from convexlab import define_schema, define_table, v
schema = define_schema({
    "notes": define_table({"body": v.string(), "e": v.embedding("body", model="lengths")})
    .vector_index("near", vector_field="e", dimensions=2),
})
"""
FUNCTIONS = """
from convexlab import action, query
@query
def vectors(ctx): return [d.get("e") for d in ctx.db.query("notes")]
@action
async def look(ctx, text: str): return await ctx.embed(text, model="lengths")
"""


class Lengths:
    """In place of sentence-transformers' class: a text's length, and its words."""

    def __init__(self, name: str, device: object = None) -> None:
        if name == "missing":
            raise OSError("missing is not a valid model identifier\nmore")
        if name == "broken":
            raise RuntimeError

    def encode(self, texts: list[str], **_: Any) -> Any:
        return np.array([[len(t), len(t.split())] for t in texts], np.float32)


@pytest.fixture
def library(monkeypatch: pytest.MonkeyPatch) -> None:
    module = ModuleType("sentence_transformers")
    module.SentenceTransformer = Lengths  # type: ignore[attr-defined]
    monkeypatch.setitem(sys.modules, "sentence_transformers", module)
    embedding_model._load.cache_clear()


def test_a_text_has_a_vector_and_several_have_several(library: None):
    assert embed("a text", model="lengths") == [6.0, 2.0]
    assert embed(["a", "a b"], model="lengths") == [[1.0, 1.0], [3.0, 2.0]]
    assert embed([], model="lengths") == []


@pytest.mark.parametrize("texts", [None, 5, [1], {"a": 1}])
def test_other_things_than_texts_are_refused(texts: Any):
    with pytest.raises(InvalidArguments, match="a text or a list of texts"):
        embed(texts)


def test_a_model_that_is_not_there_is_named(library: None):
    with pytest.raises(NotFound, match="'missing' could not be loaded: missing is not"):
        embed("a", model="missing")


def test_a_model_whose_own_code_fails_is_named(library: None):
    with pytest.raises(NotFound, match="'broken' could not be loaded: RuntimeError"):
        embed("a", model="broken")


def test_without_the_library_the_error_says_what_to_install(
    monkeypatch: pytest.MonkeyPatch,
):
    embedding_model._load.cache_clear()
    real = builtins.__import__

    def without(name: str, *args: Any, **kwargs: Any) -> Any:
        if name.startswith("sentence_transformers"):
            raise ImportError("No module named 'sentence_transformers'")
        return real(name, *args, **kwargs)

    monkeypatch.setattr(builtins, "__import__", without)
    with pytest.raises(NotFound, match=r"pip install 'convexlab\[embeddings\]'"):
        embed("a")


def test_a_deployment_of_a_test_embeds_when_its_clock_is_turned(library: None):
    t = deployment({"schema": SCHEMA, "m": FUNCTIONS})
    t.run(lambda ctx: ctx.db.insert("notes", {"body": "a text"}))
    assert t.query("m:vectors") == [None]
    t.advance(seconds=1)
    assert t.query("m:vectors") == [[6.0, 2.0]]
    assert t.action("m:look", text="a b c") == [5.0, 3.0]
