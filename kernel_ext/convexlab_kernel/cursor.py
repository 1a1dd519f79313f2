"""Where a cursor stands in unfinished Python: the text it is in, the calls around it.

    ctx.db.query("tasks").with_index("by_ow|       the text `by_ow`, the first argument of
                                                   `with_index`, after `query("tasks")`

What is typed does not parse yet, so this reads tokens only, and forgives what is
broken above: a line that begins a definition closes whatever is open. Pure.
"""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from typing import Final

_TOKEN: Final = re.compile(
    r"""(?P<space>\s+) | (?P<comment>\#[^\n]*)
    | (?P<quote>(?:[rRbBfFuU]{1,2}(?=['"]))?(?:'''|\"\"\"|'|"))
    | (?P<word>[^\W\d]\w*) | (?P<number>\d[\w.]*)
    | (?P<open>[(\[{]) | (?P<close>[)\]}])
    | (?P<mark>->|:=|[=!<>]=|\*\*|.)""",
    re.VERBOSE | re.DOTALL,
)
_DEFINITION: Final = re.compile(r"\n(?:@|def |class |async )")
_ENDS: Final = {
    quote: re.compile(rf"(?:\\.|(?!{quote}){inside})*", re.DOTALL)
    for quote, inside in (("'", r"[^\n]"), ('"', r"[^\n]"), ("'''", "."), ('"""', "."))
}


@dataclass(slots=True)
class Link:
    """One name of a chain, `query` in `ctx.db.query("tasks")`.

    Attributes:
        name: the name.
        arguments: what it was called with, as far as it is a text or names with dots.
    """

    name: str
    arguments: list[str | None] = field(default_factory=list)


Chain = list[Link]


@dataclass(slots=True)
class Bracket:
    """A bracket that is open where the cursor stands.

    Attributes:
        kind: `(`, `[` or `{`.
        chain: what stands before it: it is called or indexed.
        arguments: those that are finished, as of `Link`.
        keyword: the name of the argument that is being written, if it has one.
        is_value: in braces, whether a key stands before the cursor already.
        parameters: of the lambdas that were begun in it.
    """

    kind: str
    chain: Chain
    arguments: list[str | None] = field(default_factory=list)
    keyword: str | None = None
    is_value: bool = False
    parameters: set[str] = field(default_factory=set)

    @property
    def position(self) -> int:
        """Which argument is being written, from 0."""
        return len(self.arguments)

    @property
    def called(self) -> str | None:
        """The name of what is called or indexed."""
        return self.chain[-1].name if self.chain else None


@dataclass(slots=True)
class Cursor:
    """Where the cursor stands.

    Attributes:
        text: what of a text literal stands before it; None outside of one.
        chain: outside of one, the names with dots before it: the last is unfinished.
        brackets: those that are open, the outermost first.
    """

    text: str | None
    chain: Chain
    brackets: list[Bracket]


def cursor_at_end(code: str) -> Cursor:
    """Where a cursor at the end of this code stands."""
    return _Reader(code).read()


class _Reader:
    """Reads code token by token, and keeps what is open.

    Args:
        code: all that stands before the cursor.
    """

    def __init__(self, code: str) -> None:
        self._code = code
        self._brackets: list[Bracket] = []
        self._chain: Chain = []
        self._text: str | None = None  # the literal that was just finished
        self._before = ""  # the mark before the token

    def read(self) -> Cursor:
        at = 0
        while at < len(self._code):
            found = _TOKEN.match(self._code, at)
            assert found is not None, "each character is a mark at least"
            at, token = found.end(), found[0]
            match found.lastgroup:
                case "space":
                    self._space(token, at)
                case "comment" if at == len(self._code):
                    return Cursor(None, [], [])
                case "quote":
                    text, at, ended = self._literal(token.lstrip("rRbBfFuU"), at)
                    if not ended:
                        return Cursor(text, [], self._brackets)
                    self._chain, self._text, self._before = [], text, ""
                case "word":
                    self._word(token)
                case "open":
                    self._open(token)
                case "close":
                    self._close()
                case "number" | "mark":
                    self._mark(token)
                case _:
                    pass  # a comment that has ended
        return Cursor(None, self._unfinished(), self._brackets)

    def _unfinished(self) -> Chain:
        """The chain whose last name the cursor touches."""
        if self._before == ".":
            return [*self._chain, Link("")]
        touches = self._code[-1:].isidentifier() or self._code[-1:].isdigit()
        return self._chain if touches else []

    def _space(self, token: str, at: int) -> None:
        if "\n" not in token:
            return
        if _DEFINITION.match(self._code, at - 1):
            self._brackets.clear()
        if not self._brackets:
            self._begin("")

    def _literal(self, quote: str, at: int) -> tuple[str, int, bool]:
        """A literal's text, where the code goes on, and whether the literal has ended."""
        found = _ENDS[quote].match(self._code, at)
        assert found is not None, "the empty text matches"
        end = found.end()
        closed = self._code.startswith(quote, end)
        # One that its line ends without closing is broken, and not where the cursor is.
        over = closed or end < len(self._code)
        return found[0], end + len(quote) * closed, over

    def _word(self, name: str) -> None:
        if self._before == "lambda" and self._brackets:
            self._brackets[-1].parameters.add(name)
        if self._before == ".":
            self._chain = [*self._chain, Link(name)]
        else:
            self._chain = [Link(name)]
        self._text, self._before = None, name if name == "lambda" else ""

    def _open(self, kind: str) -> None:
        self._brackets.append(Bracket(kind, self._chain))
        self._begin(kind)

    def _close(self) -> None:
        if self._brackets:
            last = self._argument()
            closed = self._brackets.pop()
            self._chain = closed.chain
            if closed.chain and closed.kind == "(":
                link = Link(closed.chain[-1].name, [*closed.arguments, last])
                self._chain = [*closed.chain[:-1], link]
        self._text, self._before = None, ""

    def _argument(self) -> str | None:
        """The argument that ends here, as far as it is known."""
        if self._brackets and self._brackets[-1].keyword is not None:
            return None
        if self._text is not None:
            return self._text
        return ".".join(link.name for link in self._chain) or None

    def _mark(self, mark: str) -> None:
        if mark == ".":
            self._before = "."
            return
        inner = self._brackets[-1] if self._brackets else None
        if inner is not None and mark == ",":
            inner.arguments.append(self._argument())
            inner.keyword, inner.is_value = None, False
        elif inner is not None and mark == "=" and inner.kind == "(" and self._chain:
            inner.keyword = self._chain[-1].name
        elif inner is not None and mark == ":" and inner.kind == "{":
            inner.is_value = True
        self._begin(mark)

    def _begin(self, mark: str) -> None:
        self._chain, self._text, self._before = [], None, mark
