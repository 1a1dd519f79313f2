from __future__ import annotations

from hypothesis import given, strategies as st

from convexlab.engine.interval import Interval
from convexlab.engine.overlay import KeyMap, Overlay, Row, read_chunk
from convexlab.engine.write_set import Revision

keys = st.binary(min_size=1, max_size=2)


def revision(name: str) -> Revision:
    return Revision(1, name.encode(), 0, b"{}")


class Rows:
    """A base: a sorted list."""

    def __init__(self, rows: dict[bytes, Revision]) -> None:
        self.rows = rows

    def range(
        self,
        index_id: int,
        start: bytes,
        end: bytes | None,
        *,
        reverse: bool,
        limit: int,
    ) -> list[Row]:
        inside = [
            row for row in self.rows.items() if Interval(start, end).contains(row[0])
        ]
        return sorted(inside, reverse=reverse, key=lambda row: row[0])[:limit]


layer = st.dictionaries(keys, st.booleans(), max_size=8)


@given(
    st.sets(keys, max_size=8),
    st.lists(layer, max_size=3),
    st.builds(Interval, st.binary(max_size=2), st.none() | keys),
    st.booleans(),
    st.integers(1, 4),
)
def test_o2_layers_merge_as_dicts_do(
    base: set[bytes],
    layers: list[dict[bytes, bool]],
    interval: Interval,
    reverse: bool,
    limit: int,
):
    expected = {key: revision("base") for key in base}
    rows = Rows(dict(expected))
    overlays = []
    for number, entries in enumerate(layers):
        overlay = Overlay()
        for key, is_there in entries.items():
            new = revision(str(number)) if is_there else None
            overlay.put(1, key, new)
            expected.pop(key, None)
            if new is not None:
                expected[key] = new
        overlays.append(overlay)
    found: list[Row] = []
    start, end = interval.start, interval.end
    while True:
        chunk = read_chunk(rows, overlays, 1, start, end, reverse=reverse, limit=limit)
        found.extend(chunk.rows)
        if chunk.is_last:
            break
        start, end = chunk.start, chunk.end
    assert found == sorted(
        (row for row in expected.items() if interval.contains(row[0])),
        key=lambda row: row[0],
        reverse=reverse,
    )


@given(st.lists(st.tuples(st.booleans(), keys)))
def test_a_key_map_is_a_sorted_dict(steps: list[tuple[bool, bytes]]):
    sorted_map, plain = KeyMap(), {}
    for is_put, key in steps:
        if is_put:
            sorted_map.put(key, None)
            plain[key] = None
        else:
            sorted_map.discard(key)
            plain.pop(key, None)
        assert sorted_map.sorted_keys() == sorted(plain)
        assert sorted_map.entries == plain


@given(st.lists(keys, min_size=30, unique=True))
def test_many_fresh_keys_are_sorted_in(some: list[bytes]):
    sorted_map, newer = KeyMap(), KeyMap()
    for number, key in enumerate(some):
        (newer if number % 3 else sorted_map).put(key, None)
    sorted_map.update(newer)
    assert sorted_map.sorted_keys() == sorted(some)


def test_a_document_that_moves_leaves_its_old_places():
    overlay, first, second = Overlay(), revision("1"), revision("2")
    overlay.move((), ((1, b"a"), (2, b"b")), first)
    overlay.move(((1, b"a"), (2, b"b")), ((1, b"a"), (2, b"c")), second)
    assert overlay.maps[1].entries == {b"a": second}
    assert overlay.maps[2].entries == {b"b": None, b"c": second}
    later = Overlay()
    later.move(((1, b"a"), (2, b"c")), (), None)
    overlay.update(later)
    assert overlay.maps[1].entries == {b"a": None}
    assert bool(overlay)
