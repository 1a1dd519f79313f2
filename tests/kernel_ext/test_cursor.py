"""Where a cursor stands, in code that is not finished."""

from __future__ import annotations

import pytest

from convexlab_kernel.cursor import cursor_at_end


def stands(code):
    """The text or the chain, then each bracket with what is before it and where in it."""
    cursor = cursor_at_end(code)
    here = cursor.text if cursor.text is not None else [x.name for x in cursor.chain]
    around = [
        (b.kind, ".".join(link.name for link in b.chain), b.keyword or b.position)
        for b in cursor.brackets
    ]
    return here, around


@pytest.mark.parametrize(
    ("code", "here", "around"),
    [
        ("", [], []),
        ("ctx.d", ["ctx", "d"], []),
        ("ctx.", ["ctx", ""], []),
        ("a = 1; b.c", ["b", "c"], []),
        ("ctx ", [], []),
        ('f("ta', "ta", [("(", "f", 0)]),
        ("f('ta', n", ["n"], [("(", "f", 1)]),
        ('f(a, "x", name="y', "y", [("(", "f", "name")]),
        ("f(a, n=", [], [("(", "f", "n")]),
        ('f("it\'s", r"\\w", f"{x}', "{x}", [("(", "f", 2)]),
        ('f("""a "quoted" wo', 'a "quoted" wo', [("(", "f", 0)]),
        ("f('\\'', g(", [], [("(", "f", 1), ("(", "g", 0)]),
        ('x.y("t", {"a": 1, "b', "b", [("(", "x.y", 1), ("{", "", 1)]),
        ('x["ke', "ke", [("[", "x", 0)]),
        ("# f('", [], []),
        ("# f('\ng('x", "x", [("(", "g", 0)]),
        ("broken('text\ng('x", "x", [("(", "broken", 0), ("(", "g", 0)]),
        ("broken([\n\n@query\ndef f(ctx):\n    g('x", "x", [("(", "g", 0)]),
        ("f(a, b)(c).d(", [], [("(", "f.d", 0)]),
        ("a)b", ["b"], []),
    ],
)
def test_what_is_open_is_told(code, here, around):
    assert stands(code) == (here, around)


def test_a_chain_keeps_what_it_was_called_with():
    code = """
    rows = (ctx.db.query("tasks")  # those of one owner
            .with_index("by_owner", lambda q: q.eq("owner", api.x.y).eq(\""""
    outer, query, inner = cursor_at_end(code).brackets
    assert (outer.chain, query.called, inner.called) == ([], "with_index", "eq")
    assert [(x.name, x.arguments) for x in query.chain] == [
        ("ctx", []),
        ("db", []),
        ("query", ["tasks"]),
        ("with_index", []),
    ]
    assert query.arguments == ["by_owner"]
    assert query.parameters == {"q"}
    assert [(x.name, x.arguments) for x in inner.chain] == [
        ("q", []),
        ("eq", ["owner", "api.x.y"]),
        ("eq", []),
    ]


def test_a_key_is_told_from_its_value():
    assert not cursor_at_end('{"a').brackets[-1].is_value
    assert cursor_at_end('{"a": "b').brackets[-1].is_value
    assert not cursor_at_end('{"a": "b", "').brackets[-1].is_value
