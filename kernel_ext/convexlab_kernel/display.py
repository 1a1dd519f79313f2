"""How values look where nothing runs: small HTML and plain text.

GitHub, nbconvert and untrusted notebooks show these, so they need no script, say
how much of the whole they show, and stay under 64 KB. Numbers are written as
JavaScript writes them, as in the live views. The same value gives the same bytes.
They are saved with the notebook: the secret path in an address of a file is left out.
"""

from __future__ import annotations

import html
import importlib
import json
import re
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any

from convexlab import knobs

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

TABLE = '<table class="convexlab" style="border-collapse:collapse;font-size:13px">'
HEAD = '<th style="text-align:left;padding:3px 10px;border-bottom:1px solid #8886">'
CELL = '<td style="text-align:left;padding:2px 10px;border-bottom:1px solid #8882">'
# N.B. each cell says it: a page's own style of cells goes before a table's.
NO_WRAP = "padding:2px 10px;border-bottom:1px solid #8882;white-space:nowrap"
PLACES = {"_id": 0, "_score": 1, "_creationTime": 3}
ELSEWHERE = 2
NOTE = '<div style="font-size:12px;opacity:.75;margin:3px 0">'
CARD_LINES = 64
# Behind it an address leads to the deployment's files and functions, with no login.
SECRET_PATH = re.compile(r"(?<=/c/)[\w-]{32}(?=/)", re.ASCII)


# -- what a value is -----------------------------------------------------------


def is_table(value: object) -> bool:
    """Whether a value is a list of documents."""
    return (
        isinstance(value, list)
        and bool(value)
        and all(isinstance(row, dict) for row in value)
    )


def columns(rows: Sequence[Mapping[str, Any]]) -> list[str]:
    """The fields of some documents, in order of first appearance, system fields first."""
    names = dict.fromkeys(name for row in rows for name in row)
    system = [name for name in ("_id", "_creationTime") if name in names]
    return system + [name for name in names if name not in system]


def columns_shown(rows: Sequence[Mapping[str, Any]]) -> list[str]:
    """The same as live tables have them: how well it was found second, the time last."""
    return sorted(columns(rows), key=lambda name: PLACES.get(name, ELSEWHERE))


def is_numeric(rows: Sequence[Mapping[str, Any]], name: str) -> bool:
    """Whether a column stands at its right edge: of numbers, and some that are missing."""
    values = [row[name] for row in rows if row.get(name) is not None]
    return bool(values) and name != "_creationTime" and all(map(_is_number, values))


def _is_number(value: object) -> bool:
    return isinstance(value, (int, float)) and not isinstance(value, bool)


def article(name: str) -> str:
    """`a list`, `an int`."""
    return f"{'an' if name[:1].lower() in 'aeiou' else 'a'} {name}"


def optional(module: str) -> Any:
    """A module that may be absent; None where it is."""
    try:
        return importlib.import_module(module)
    except ImportError:
        return None


# -- cells ---------------------------------------------------------------------


def cell(value: object) -> str:
    """A value on one line, shortened where it is long."""
    text = plain(value).replace("\n", "⏎")
    most = knobs.STATIC_CELL_CHARS
    return text if len(text) <= most else text[: most - 1] + "…"


def plain(value: object) -> str:
    """A value as text: strings bare, numbers as JavaScript writes them."""
    if value is None:
        return "null"
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, float):
        return number(value)
    if isinstance(value, str):
        return without_secret(value)
    if isinstance(value, bytes):
        return f"bytes({len(value)})"
    if isinstance(value, (list, dict)):
        return without_secret(json.dumps(_jsonable(value), ensure_ascii=False))
    return str(value)


def without_secret(text: str) -> str:
    """Addresses as they may be saved and shown to others."""
    return SECRET_PATH.sub("…", text)


def number(value: float) -> str:
    """A float without the point that it does not need."""
    return str(int(value)) if value.is_integer() and abs(value) < 1e21 else repr(value)


def _jsonable(value: object) -> object:
    if isinstance(value, list):
        return [_jsonable(item) for item in value]
    if isinstance(value, dict):
        return {key: _jsonable(item) for key, item in value.items()}
    if isinstance(value, float) and value.is_integer() and abs(value) < 1e15:
        return int(value)
    return plain(value) if isinstance(value, bytes) else value


def field(name: str, value: object) -> str:
    """A document's field: its creation time as a time, its score short, else as `cell`."""
    if name == "_creationTime" and isinstance(value, (int, float)):
        return moment(value)
    if name == "_score" and isinstance(value, float):
        return f"{value:.4f}"
    return cell(value)


def moment(milliseconds: float) -> str:
    """Milliseconds since 1970 as a UTC time, to the millisecond."""
    epoch = datetime(1970, 1, 1, tzinfo=UTC)
    try:
        then = epoch + timedelta(milliseconds=milliseconds)
    except OverflowError:
        return number(float(milliseconds))
    return then.strftime("%Y-%m-%d %H:%M:%S.") + f"{then.microsecond // 1000:03}Z"


# -- tables --------------------------------------------------------------------


def counted(count: int, what: str) -> str:
    """`1 document`, `1,234 documents`."""
    return f"{count:,} {what.removesuffix('s') if count == 1 else what}"


def shown(count: int, total: int | None, what: str = "documents") -> str:
    """How much of the whole is shown."""
    whole = count if total is None else total
    all_of_it = counted(whole, what)
    return all_of_it if count >= whole else f"showing {count:,} of {all_of_it}"


def table_html(
    rows: Sequence[Mapping[str, Any]],
    *,
    total: int | None = None,
    note: str = "",
    what: str = "documents",
) -> str:
    """Documents as a table: the first rows, and how many there are."""
    whole = len(rows) if total is None else total
    part = rows[: knobs.STATIC_ROWS]
    names = columns_shown(part)
    hidden = len(names) - knobs.STATIC_COLUMNS
    names = names[: knobs.STATIC_COLUMNS]
    sides = ["right" if is_numeric(part, name) else "left" for name in names]
    head = "".join(
        f"{HEAD.replace('left', side)}{html.escape(name)}</th>"
        for name, side in zip(names, sides, strict=True)
    )
    opened = [f'<td style="text-align:{side};{NO_WRAP}">' for side in sides]
    body: list[str] = []
    size = 2_000 + len(head.encode())
    for row in part:
        line = "".join(
            f"{td}{html.escape(field(name, row[name])) if name in row else ''}</td>"
            for td, name in zip(opened, names, strict=True)
        )
        size += len(line.encode())
        if size > knobs.STATIC_BYTES:
            break
        body.append(f"<tr>{line}</tr>")
    said = shown(len(body), whole, what)
    if hidden > 0:
        said += f", {hidden} more columns"
    foot = html.escape(f"{said} · {note}" if note else said)
    return (
        f"{TABLE}<thead><tr>{head}</tr></thead><tbody>{''.join(body)}</tbody></table>"
        f"{NOTE}{foot}</div>"
    )


def table_text(
    rows: Sequence[Mapping[str, Any]],
    *,
    total: int | None = None,
    note: str = "",
    what: str = "documents",
) -> str:
    """Documents as lines of text under a line of names."""
    part = rows[: knobs.STATIC_ROWS]
    names = columns_shown(part)[: knobs.STATIC_COLUMNS]
    cells = [
        [field(name, row[name])[:32] if name in row else "" for name in names]
        for row in part
    ]
    widths = [
        max(len(name), *(len(line[n]) for line in cells)) if cells else len(name)
        for n, name in enumerate(names)
    ]
    lines = [names, *cells] if names else []
    text = [
        "  ".join(c.ljust(w) for c, w in zip(line, widths, strict=True)).rstrip()
        for line in lines
    ]
    said = shown(len(part), len(rows) if total is None else total, what)
    return "\n".join([*text, f"({said} · {note})" if note else f"({said})"])


# -- any value -----------------------------------------------------------------


def value_html(value: object, *, note: str = "") -> str:
    """A value by what it holds: documents, one document, a number, a tree."""
    if is_table(value):
        assert isinstance(value, list)
        return table_html(value, note=note)
    foot = f"{NOTE}{html.escape(note)}</div>" if note else ""
    if isinstance(value, dict) and value:
        return card_html(value.items()) + foot
    if _is_number(value):
        big = '<div class="convexlab" style="font-size:28px;line-height:1.3">'
        return f"{big}{html.escape(plain(value))}</div>{foot}"
    if value == []:
        return table_html([], note=note)
    tree, cut = _tree(value)
    said = " · ".join(part for part in (cut, note) if part)
    foot = f"{NOTE}{html.escape(said)}</div>" if said else ""
    return f'<pre class="convexlab">{html.escape(tree)}</pre>{foot}'


def _tree(value: object) -> tuple[str, str]:
    """A value as JSON, as much of it as a notebook is to keep; and how much that is."""
    tree = without_secret(json.dumps(_jsonable(value), ensure_ascii=False, indent=2))
    most = knobs.STATIC_BYTES // 8
    if len(tree) <= most:
        return tree, ""
    return tree[:most], f"the first {most:,} of {len(tree):,} characters"


def card_html(fields: Iterable[tuple[str, object]]) -> str:
    """Names and values below one another."""
    lines = [
        f"<tr>{HEAD}{html.escape(name)}</th>{CELL}{html.escape(field(name, value))}</td></tr>"
        for name, value in fields
    ]
    card = f"{TABLE}<tbody>{''.join(lines[:CARD_LINES])}</tbody></table>"
    if len(lines) <= CARD_LINES:
        return card
    return f"{card}{NOTE}{shown(CARD_LINES, len(lines), 'lines')}</div>"


def value_text(value: object, *, note: str = "") -> str:
    """A value as plain text."""
    if is_table(value):
        assert isinstance(value, list)
        return table_text(value, note=note)
    tree, cut = _tree(value)
    said = " · ".join(part for part in (cut, note) if part)
    return f"{tree}\n({said})" if said else tree
