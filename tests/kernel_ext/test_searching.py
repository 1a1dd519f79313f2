"""Search boxes: which argument takes what is typed, or its vector; what the page may ask."""

from __future__ import annotations

import pytest
from tests.kernel_ext.conftest import deploy, told

from convexlab.errors import InvalidArguments, NotAllowed, NotFound
from convexlab_kernel.searching import SearchBox

NOTES = """from convexlab import action, internal_action, mutation, query

@query
def starting(ctx, text: str, most: int = 10):
    return [note for note in ctx.db.query("notes") if note["text"].startswith(text)][:most]

@query
def between(ctx, first: str, last: str | None = None):
    return []

@query
def all(ctx):
    return ctx.db.query("notes").collect()

@query
def near(ctx, vector: list[float], mood: str | None = None):
    return [{"vector": vector}]

@query
def both(ctx, text: str, vector: list[float], other: str = ""):
    return []

@query
def two(ctx, one: list[float], another: list[float]):
    return []

@mutation
def create(ctx, text: str):
    return ctx.db.insert("notes", {"text": text})

@action
def meaning(ctx, words: str) -> list[float]:
    return ctx.embed(words, model="missing") if words == "!" else [len(words), 1.0]

@action
def ask(ctx, text: str):
    return [{"text": text, "_score": 1}]

@internal_action
def hidden(ctx, text: str):
    pass
"""


@pytest.fixture
def notes(db):
    deploy(db, notes=NOTES)
    return db


def test_a_search_says_which_argument_takes_the_text(notes):
    """The only string there is; where there are more, it asks which."""
    box = SearchBox("notes:starting", db=notes, most=3, label="find")
    assert told(box) == {
        "kind": "search",
        "path": "notes:starting",
        "argument": "text",
        "view": {"kind": "auto"},
        "label": "find",
        "args": {"most": 3},
    }
    with pytest.raises(InvalidArguments, match="`argument=`: first, last"):
        SearchBox("notes:between", db=notes)
    last = SearchBox("notes:between", db=notes, argument="last")
    assert told(last)["argument"] == "last"
    assert told(SearchBox("notes:between", db=notes, last="z"))["argument"] == "first"
    with pytest.raises(InvalidArguments, match="none of its arguments is a string"):
        SearchBox("notes:all", db=notes)
    with pytest.raises(InvalidArguments, match="not a public query but a mutation"):
        SearchBox("notes:create", db=notes)
    with pytest.raises(InvalidArguments, match="takes no `nope`"):
        SearchBox("notes:starting", db=notes, argument="nope")


def test_a_search_by_meaning_embeds_first(notes):
    """An action makes the vector; the text goes along where the query needs it."""
    embed = {"path": "notes:meaning", "argument": "words", "into": "vector"}
    box = told(SearchBox("notes:near", embed="notes:meaning", db=notes))
    assert box["embed"] == embed
    assert "argument" not in box, "a text that need not be passed may be a filter"
    assert "asks" not in box
    box = told(SearchBox("notes:both", embed="notes:meaning", db=notes))
    assert (box["embed"], box["argument"]) == (embed, "text")
    mood = SearchBox("notes:near", embed="notes:meaning", argument="mood", db=notes)
    assert told(mood)["argument"] == "mood"
    with pytest.raises(InvalidArguments, match=r"numbers, as in .*: one, another"):
        SearchBox("notes:two", embed="notes:meaning", db=notes)
    with pytest.raises(InvalidArguments, match="none of its arguments is one"):
        SearchBox("notes:starting", embed="notes:meaning", db=notes)
    with pytest.raises(InvalidArguments, match="not a public action but a query"):
        SearchBox("notes:near", embed="notes:starting", db=notes)
    with pytest.raises(NotFound, match="Is `notes:meaning` meant"):
        SearchBox("notes:near", embed="notes:mean", db=notes)


def test_an_action_is_asked_by_itself(notes):
    """It embeds if it wants to, and its answer is not followed."""
    box = told(SearchBox("notes:ask", db=notes, columns=["text"]))
    assert (box["asks"], box["argument"]) == ("action", "text")
    assert box["view"] == {"kind": "table", "columns": ["text"]}
    with pytest.raises(InvalidArguments, match="an action, which embeds by itself"):
        SearchBox("notes:ask", embed="notes:meaning", db=notes)
    with pytest.raises(InvalidArguments, match="but an internal action"):
        SearchBox("notes:hidden", db=notes)


def test_a_search_may_ask_its_functions_and_no_other(notes):
    """Where the kernel asks for the page, it asks for these only."""
    backend = SearchBox("notes:starting", db=notes).backend
    notes.mutation("notes:create", text="hello")
    asked = {"what": "query", "path": "notes:starting", "args": {"text": "he"}}
    assert b"hello" in backend.answer(asked, b"")
    why = {**asked, "what": "why"}
    assert backend.answer(why, b"") == b"null"  # nobody follows it
    with pytest.raises(NotAllowed, match="may not ask for notes:all"):
        backend.answer({**why, "path": "notes:all"}, b"")
    with pytest.raises(NotAllowed):
        backend.answer({**asked, "path": "notes:all", "args": {}}, b"")
    embed = {"what": "action", "path": "notes:meaning", "args": {"words": "abc"}}
    with pytest.raises(NotAllowed, match="notes:meaning"):
        backend.answer(embed, b"")
    meant = SearchBox("notes:near", embed="notes:meaning", db=notes).backend
    assert meant.answer(embed, b"") == b"[3.0,1.0]"

    # Without the extra, or without the model, the page shows what the call says.
    with pytest.raises(NotFound, match=r"convexlab\[embeddings\]|'missing'"):
        meant.answer({**embed, "args": {"words": "!"}}, b"")
