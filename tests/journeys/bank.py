"""A bank in which a half-applied or repeated mutation shows.

Every transfer changes two accounts and the book, every pair puts a document into
two tables and counts it in the book: so the total stands still, what the accounts
counted is twice what the book did, and the book only rises. Each leaves its call's
name behind; an import leaves it on each of its lines.
"""

from __future__ import annotations

ACCOUNTS = 8
OPENING = 100

MODULE = """
from convexlab import ConvexError, mutation, query


@mutation
def found(ctx, accounts: int, opening: int):
    for number in range(accounts):
        ctx.db.insert("accounts", {"number": number, "balance": opening, "moves": 0})
    ctx.db.insert("book", {"moves": 0, "pairs": 0})


@mutation
def transfer(ctx, call: str, turn: int, source: int, target: int, amount: int):
    move(ctx, source, -amount)
    move(ctx, target, amount)
    count(ctx, "moves")
    ctx.db.insert("receipts", {"call": call, "turn": turn})
    if account(ctx, source)["balance"] < 0:
        raise ConvexError("Insufficient funds")


@mutation
def pair(ctx, call: str, turn: int):
    ctx.db.insert("left", {"call": call, "turn": turn})
    count(ctx, "pairs")
    ctx.db.insert("right", {"call": call, "turn": turn})


@query
def state(ctx):
    accounts = ctx.db.query("accounts").collect()
    book = ctx.db.query("book").unique()
    return {
        "total": sum(a["balance"] for a in accounts),
        "moved": sum(a["moves"] for a in accounts),
        "moves": book["moves"],
        "pairs": book["pairs"],
    }


@query
def book(ctx):
    book = ctx.db.query("book").unique()
    return {"moves": book["moves"], "pairs": book["pairs"]}


@query
def calls(ctx, turn: int):
    return {
        table: [
            found["call"]
            for found in ctx.db.query(table).with_index("by_turn", turn=turn)
        ]
        for table in ("receipts", "left", "right", "imported")
    }


def account(ctx, number):
    return ctx.db.query("accounts").with_index("by_number", number=number).unique()


def move(ctx, number, amount):
    found = account(ctx, number)
    ctx.db.patch(found["_id"], {
        "balance": found["balance"] + amount,
        "moves": found["moves"] + 1,
    })


def count(ctx, what):
    found = ctx.db.query("book").unique()
    ctx.db.patch(found["_id"], {what: found[what] + 1})
"""

SCHEMA = """
from convexlab import define_schema, define_table, v

called = {"call": v.string(), "turn": v.number()}
schema = define_schema({
    "accounts": define_table({
        "number": v.number(), "balance": v.number(), "moves": v.number(),
    }).index("by_number", ["number"]),
    "book": define_table({"moves": v.number(), "pairs": v.number()}),
    "receipts": define_table(called).index("by_turn", ["turn"]),
    "left": define_table(called).index("by_turn", ["turn"]),
    "right": define_table(called).index("by_turn", ["turn"]),
    "imported": define_table(called).index("by_turn", ["turn"]),
})
"""

MODULES = {"bank": MODULE, "schema": SCHEMA}


def modules_of(turn: int) -> dict[str, str]:
    """The bank with something new in it, and every other time with one index more."""
    version = f"\n\n@query\ndef version(ctx):\n    return {turn}\n"
    one, two = 'index("by_turn", ["turn"])', 'index("by_call", ["call"])'
    schema = SCHEMA.replace(one, f"{one}.{two}") if turn % 2 else SCHEMA
    return {"bank": MODULE + version, "schema": schema}


FOLLOWED = ["bank:state", "bank:book"]


class Watcher:
    """Somebody who follows the bank and believes only what adds up."""

    def __init__(self) -> None:
        self._last = {"moves": 0, "pairs": 0}

    def saw(self, ts: int, results: dict[str, dict[str, float]]) -> None:
        """All that one Transition leaves the client with is one moment's state."""
        state, book = (results[path] for path in FOLLOWED)
        assert state["total"] == ACCOUNTS * OPENING, (ts, state)
        assert state["moved"] == 2 * state["moves"], (ts, state)
        assert book == {"moves": state["moves"], "pairs": state["pairs"]}, (ts, results)
        for what, before in self._last.items():
            assert book[what] >= before, f"{what} went back from {before}: {results}"
        self._last = book
