"""Large scans: the mirror's answer is the one that reading the rows gives."""

from __future__ import annotations

import math
from itertools import islice
from typing import TYPE_CHECKING, Any

import pytest
from hypothesis import given, settings, strategies as st
from tests.functions.mirrored import Mirrored, mirrored_lab

from convexlab import knobs
from convexlab.documents.ids import encode_id
from convexlab.documents.ordering import encode_key
from convexlab.documents.value import UNDEFINED, Int64
from convexlab.engine.limits import Limits
from convexlab.engine.read_set import ReadSet
from convexlab.engine.table import IndexLost
from convexlab.errors import CallerError, FollowerBehind, OutOfRetention
from convexlab.followers.keeper import NO_INDEXES
from convexlab.functions import aggregates, determinism
from convexlab.functions.context import QueryCtx
from convexlab.functions.execution import Execution, NoClock

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

numbers = st.sampled_from([0, 1, 2, -3, 0.5, -0.0, 1.0, 2.5, 1e300, -1e300, math.inf])
scalars = st.one_of(
    st.none(),
    numbers,
    st.sampled_from([math.nan, -math.inf]),
    st.sampled_from([Int64(1), Int64(-5), Int64(2**62), Int64(-(2**63))]),
    st.booleans(),
    st.sampled_from(["", "a", "b", "ab", "é", "\0", "😀"]),
    st.sampled_from([b"", b"a", b"\0"]),
)
values = st.one_of(
    scalars,
    st.lists(scalars, max_size=2),
    st.dictionaries(st.sampled_from("xy"), scalars),
)
# Fields of one kind, as tables mostly have them, and fields of any.
KINDS: list[st.SearchStrategy[Any]] = [
    numbers,
    st.integers(-5, 5),
    st.sampled_from(["", "a", "b", "ab", "é"]),
    st.booleans(),
    st.sampled_from([Int64(1), Int64(-5), Int64(2**62)]),
    st.sampled_from([b"", b"a"]),
    st.one_of(st.none(), st.integers(-3, 3)),
    st.one_of(st.none(), st.booleans(), st.sampled_from([0, 2.5, "a", "é", "2.5"])),
    values,
]
FIELDS = ["a", "b", "c"]


@st.composite
def tables(draw: st.DrawFn) -> list[dict[str, Any]]:
    kinds = {name: draw(st.sampled_from(KINDS)) for name in FIELDS}
    partly = draw(st.sets(st.sampled_from(FIELDS)))
    fields = {name: kind for name, kind in kinds.items() if name not in partly}
    others = {name: kind for name, kind in kinds.items() if name in partly}
    return draw(
        st.lists(
            st.fixed_dictionaries(fields, optional=others), min_size=1, max_size=12
        )
    )


Filter = Any
names = st.sampled_from([*FIELDS, "nowhere"])
constants = st.one_of(values, st.just(UNDEFINED))


@st.composite
def comparisons(draw: st.DrawFn) -> Filter:
    name, constant = draw(names), draw(constants)
    way = draw(st.sampled_from(["eq", "neq", "lt", "lte", "gt", "gte"]))
    if draw(st.booleans()):
        return lambda q: getattr(q, way)(q.field(name), constant)
    return lambda q: getattr(q, way)(constant, q.field(name))


@st.composite
def other_tests(draw: st.DrawFn) -> Filter:
    name, text = draw(names), draw(st.sampled_from(["", "a", "é", 1]))
    return draw(
        st.sampled_from(
            [
                lambda q: q[name].startswith(text),
                lambda q: q[name].contains(text),
                lambda q: q[name] + 1 > 1,  # fails for what is no number
                lambda q: q[name],  # fails for what is no boolean
                lambda q: q[name].length() > 0,
                lambda q: q.eq(q.field("a"), q.field("b")),
                lambda q: q.field("a.x") > 0,
                lambda q: q.eq(q._id, "nothing"),
                lambda q: q._creationTime > 0,
            ]
        )
    )


conditions = st.recursive(
    st.one_of(comparisons(), other_tests()),
    lambda inner: st.one_of(
        st.tuples(inner, inner).map(lambda two: lambda q: q.and_(two[0](q), two[1](q))),
        st.tuples(inner, inner).map(lambda two: lambda q: q.or_(two[0](q), two[1](q))),
        inner.map(lambda one: lambda q: q.not_(one(q))),
    ),
    max_leaves=4,
)
orders = st.one_of(
    st.none(),
    st.tuples(
        st.sampled_from([*FIELDS, "a.x", "nowhere"]), st.sampled_from(["asc", "desc"])
    ),
    st.sampled_from(["asc", "desc"]),
)


def grouping(name: str, field: str) -> Callable[[Any], Any]:
    return lambda query: query.group_by(name).agg(
        n=aggregates.count(),
        least=aggregates.min_(field),
        most=aggregates.max_(field),
    )


def pages(query: Any) -> list[Any]:
    """All pages, and what is told beside them."""
    found: list[Any] = []
    cursor, is_done = None, False
    while not is_done:
        page = query.paginate(num_items=2, cursor=cursor)
        cursor, is_done = page["continueCursor"], page["isDone"]
        found += [page.pop("page"), page]
    again = {"numItems": 9, "cursor": None, "endCursor": found[1]["continueCursor"]}
    return [*found, query.paginate(again)["page"]]


@st.composite
def sources(draw: st.DrawFn) -> Any:
    """Ranges of an index."""
    a, b, c = draw(constants), draw(constants), draw(constants)
    return draw(
        st.sampled_from(
            [
                lambda query: query.with_index("by_a_b"),
                lambda query: query.with_index("by_a_b", a=a),
                lambda query: query.with_index("by_a_b", lambda q: q.gt("a", a)),
                lambda query: query.with_index(
                    "by_a_b", lambda q: q.eq("a", a).gte("b", b).lt("b", c)
                ),
                lambda query: query.with_index("by_a_b", lambda q: q.in_("a", [a, b])),
                lambda query: query.with_index(
                    "by_a_b", lambda q: q.lte("a", a), lambda q: q.eq("a", b)
                ),
                lambda query: query.with_index(
                    "by_creation_time", lambda q: q.gt("_creationTime", 5)
                ),
                lambda query: query.with_index("by_id"),
            ]
        )
    )


@st.composite
def results(draw: st.DrawFn) -> Callable[[Any], Any]:
    field, name = draw(names), draw(names)
    return draw(
        st.sampled_from(
            [
                lambda query: query.collect(),
                lambda query: query.take(3),
                lambda query: query.first(),
                list,
                lambda query: list(islice(query, 2)),
                pages,
                pages,
                lambda query: query.count(),
                lambda query: query.sum(field),
                lambda query: query.avg(field),
                lambda query: query.min(field),
                lambda query: query.max(field),
                grouping(name, field),
                lambda query: query.group_by(name, "a.x").agg(t=aggregates.sum_(field)),
            ]
        )
    )


Asked = tuple[Any, Any, Any, Any]
questions: st.SearchStrategy[Asked] = st.tuples(
    st.none() | conditions, orders, results(), st.none() | sources()
)


def asked(question: Asked, execution: Execution) -> Any:
    """What a query says, in a form that tells all that users can tell apart."""
    where, order, result, source = question
    query = QueryCtx(execution).db.query("t")
    try:
        if source is not None:
            query = source(query)
        if where is not None:
            query = query.filter(where)
        if isinstance(order, tuple):
            query = query.order_by(*order)
        elif order is not None:
            query = query.order(order)
        return told(result(query))
    except CallerError as error:
        return type(error).__name__


def told(value: Any) -> Any:
    if isinstance(value, list):
        return [told(each) for each in value]
    if isinstance(value, dict):
        return {name: (repr(each), encode_key(each)) for name, each in value.items()}
    return repr(value)


class Labs:
    """A table, its mirror, and runs by either way."""

    def __init__(self) -> None:
        self.lab = Mirrored({})
        self.lab.table("t")
        self.lab.index("t", "by_a_b", "a", "b")

    def renew(self) -> None:
        self.lab.keeper.close()
        self.__init__()  # type: ignore[misc]

    def run(self, question: Asked, tx: Any, derived: Any) -> Any:
        run = determinism.Run("a test", now_ms=0, seed=b"s" * 32)
        tx.read_set = ReadSet()
        execution = Execution(
            self.lab.modules,
            tx,
            run,
            clock=NoClock(),
            secret=b"a secret",
            derived=derived,
        )
        return asked(question, execution)


@pytest.fixture(scope="module")
def labs() -> Iterator[Labs]:
    labs = Labs()
    yield labs
    labs.lab.keeper.close()


@pytest.fixture(autouse=True)
def scans_pay(monkeypatch_module: pytest.MonkeyPatch) -> None:
    """However small the table, and at once."""
    monkeypatch_module.setattr(knobs, "SCAN_PAYS_ROWS", 0)
    monkeypatch_module.setattr(knobs, "SCAN_PROBE_ROWS", 0)
    monkeypatch_module.setattr(knobs, "SCAN_BATCH_ROWS", 1)


@pytest.fixture(scope="module")
def monkeypatch_module() -> Iterator[pytest.MonkeyPatch]:
    with pytest.MonkeyPatch.context() as patch:
        yield patch


def change(tx: Any, steps: list[Any]) -> None:
    """Insert, replace or delete as the steps say."""
    for where, document in steps:
        there = [each["_id"] for each in tx.documents(tx.table("t").by_creation_time)]
        if document is None and there:
            tx.delete(there[where % len(there)])
        elif where < 5 or not there:
            tx.insert("t", document or {})
        else:
            tx.replace(there[where % len(there)], document)


steps_of = st.lists(
    st.tuples(st.integers(0, 9), st.none() | tables().map(lambda rows: rows[0])),
    max_size=4,
)


@given(
    documents=tables(),
    gathering=steps_of,
    own=steps_of,
    asking=st.lists(questions, min_size=1, max_size=4),
)
@settings(max_examples=40)
def test_the_mirror_says_what_the_rows_say(
    labs: Labs, documents: Any, gathering: Any, own: Any, asking: list[Asked]
):
    """Also where a group gathers and the mutation itself has written; and it depends on
    the same.
    """
    labs.renew()
    lab = labs.lab
    lab.insert("t", *documents)
    lab.committer.settle_all()
    lab.system(lambda tx: change(tx, gathering))
    tx = lab.committer.begin()
    change(tx, own)
    for question in asking:
        by_rows = labs.run(question, tx, NO_INDEXES)
        reads = tx.reads()
        assert labs.run(question, tx, lab.keeper) == by_rows
        if not isinstance(by_rows, str) or not by_rows.isidentifier():
            assert tx.reads() == reads


# -- the way that is taken --------------------------------------------------------------


class Behind:
    """Derived indexes that are behind for so many questions."""

    def __init__(self, times: int, keeper: Any) -> None:
        self.left = times
        self.patience: list[float] = []
        self._keeper = keeper

    def ask(self, name: str, request: bytes, **options: Any) -> bytes:
        self.patience.append(options["patience_seconds"])
        self.left -= 1
        if self.left >= 0:
            raise FollowerBehind("not yet")
        told: bytes = self._keeper.ask(name, request, **options)
        return told


def counted(where: Any = lambda q: q.n >= 2) -> Asked:
    return where, None, lambda query: query.count(), None


@pytest.fixture
def large(labs: Labs) -> Labs:
    """Five documents."""
    labs.renew()
    labs.lab.insert("t", *[{"n": n} for n in range(5)])
    labs.lab.committer.settle_all()
    return labs


def test_scanned_rows_do_not_count_and_returned_ones_do(large: Labs):
    tx = large.lab.committer.begin(writable=False)
    assert large.run(counted(), tx, large.lab.keeper) == "3"
    assert tx.usage.documents_read == 0
    taken = (lambda q: q.n >= 2, None, lambda query: query.take(2), None)
    large.run(taken, tx, large.lab.keeper)
    assert tx.usage.documents_read == 2


def test_rows_with_vectors_count_as_many_bytes_as_the_store_has_of_them(labs: Labs):
    """The mirror keeps them as text, in which their numbers take more."""
    labs.renew()
    labs.lab.insert(
        "t", *[{"n": n, "e": [n + i / 7 for i in range(70)]} for n in (1, 2)]
    )
    labs.lab.committer.settle_all()
    kept = (lambda q: q.n >= 1, None, lambda query: query.collect(), None)
    told, sizes = [], []
    for derived in (labs.lab.keeper, NO_INDEXES):
        tx = labs.lab.committer.begin(writable=False)
        told.append(labs.run(kept, tx, derived))
        sizes.append((tx.usage.documents_read, tx.usage.bytes_read))
    assert told[0] == told[1]
    assert sizes[0] == sizes[1]
    assert sizes[0][1] > 2 * 70 * 8


def test_more_rows_than_may_be_returned_are_refused(large: Labs):
    few = Limits(documents_read=2)
    tx = large.lab.committer.begin(writable=False, limits=few)
    kept = (lambda q: q.n >= 2, None, lambda query: query.collect(), None)
    assert large.run(kept, tx, large.lab.keeper) == "LimitExceeded"
    tx = large.lab.committer.begin(writable=False, limits=few)
    assert large.run(counted(), tx, large.lab.keeper) == "3"
    assert large.run(counted(), tx, NO_INDEXES) == "LimitExceeded"


def test_while_the_mirror_is_behind_rows_are_read(large: Labs):
    tx = large.lab.committer.begin(writable=False)
    behind = Behind(1, large.lab.keeper)
    assert large.run(counted(), tx, behind) == "3"
    assert tx.usage.documents_read == 5
    assert behind.patience == [knobs.SCAN_PATIENCE_SECONDS]


def test_rows_that_are_too_many_wait_for_the_mirror(large: Labs):
    tx = large.lab.committer.begin(writable=False, limits=Limits(documents_read=2))
    behind = Behind(1, large.lab.keeper)
    assert large.run(counted(), tx, behind) == "3"
    assert behind.patience == [
        knobs.SCAN_PATIENCE_SECONDS,
        knobs.FOLLOWER_QUERY_SECONDS,
    ]
    with pytest.raises(FollowerBehind):
        large.run(counted(), tx, Behind(9, large.lab.keeper))


class LostOnTheWay:
    """Derived indexes that answer once."""

    def __init__(self, keeper: Any, error: Exception) -> None:
        self.patience: list[float] = []
        self._keeper, self._error = keeper, error

    def ask(self, name: str, request: bytes, **options: Any) -> bytes:
        self.patience.append(options["patience_seconds"])
        if len(self.patience) > 1:
            raise self._error
        told: bytes = self._keeper.ask(name, request, **options)
        return told


@pytest.mark.parametrize(
    ("error", "raised"),
    [(FollowerBehind("died"), FollowerBehind), (OutOfRetention("anew"), IndexLost)],
)
def test_a_loop_that_has_begun_in_the_mirror_waits_for_it(
    large: Labs, error: Exception, raised: type[BaseException]
):
    """Rows would have to be read from the first again."""
    tx = large.lab.committer.begin(writable=False)
    lost = LostOnTheWay(large.lab.keeper, error)
    with pytest.raises(raised):
        large.run((None, ("n", "desc"), list, None), tx, lost)
    assert lost.patience == [
        knobs.SCAN_PATIENCE_SECONDS,
        knobs.FOLLOWER_QUERY_SECONDS,
    ]


@pytest.mark.parametrize(
    "limits", [Limits(documents_read=2), Limits(bytes_read=400)], ids=["rows", "bytes"]
)
def test_a_small_table_of_too_large_documents_is_read_in_columns(
    limits: Limits, large: Labs, monkeypatch: pytest.MonkeyPatch
):
    """What is returned counts, and nothing of what was scanned."""
    monkeypatch.setattr(knobs, "SCAN_PAYS_ROWS", 5)
    first = (lambda q: q.n >= 3, ("n", "desc"), lambda query: query.first()["n"], None)
    looped = (None, ("n", "desc"), lambda query: next(iter(query))["n"], None)
    paged = (
        None,
        ("n", "desc"),
        lambda query: len(query.paginate(num_items=1)["page"]),
        None,
    )
    for asked, said, returned in [
        (counted(), "3", 0),
        (first, "4", 1),
        (looped, "4", 1),
        (paged, "1", 1),
    ]:
        tx = large.lab.committer.begin(writable=False, limits=limits)
        assert large.run(asked, tx, NO_INDEXES) == "LimitExceeded"
        tx = large.lab.committer.begin(writable=False, limits=limits)
        assert large.run(asked, tx, large.lab.keeper) == said
        assert tx.usage.documents_read == returned
    kept = (lambda q: q.n >= 0, None, lambda query: query.collect(), None)
    tx = large.lab.committer.begin(writable=False, limits=limits)
    assert large.run(kept, tx, large.lab.keeper) == "LimitExceeded"


def test_a_small_table_is_read_row_by_row(large: Labs, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(knobs, "SCAN_PAYS_ROWS", 5)
    tx = large.lab.committer.begin(writable=False)
    behind = Behind(0, large.lab.keeper)
    assert large.run(counted(), tx, behind) == "3"
    assert behind.patience == []


def test_what_passes_the_filter_counts_as_read(large: Labs):
    tx = large.lab.committer.begin(writable=False)
    large.run(counted(), tx, large.lab.keeper)
    table = tx.table("t")
    assert table is not None
    (read,) = [r for r in tx.reads() if r.index_id == table.by_creation_time.id]
    assert read.where is not None
    assert (read.start, read.end) == (b"", None)


def test_a_field_that_no_document_has_is_an_order_too(large: Labs):
    tx = large.lab.committer.begin(writable=False)
    for result in (lambda query: query.collect(), grouping("nowhere", "nothing")):
        question = (None, ("nowhere", "desc"), result, None)
        by_rows = large.run(question, tx, NO_INDEXES)
        assert large.run(question, tx, large.lab.keeper) == by_rows


def test_what_was_created_in_one_moment_is_told_apart_by_id(labs: Labs):
    """Imported documents may have one creation time."""
    labs.renew()
    lab = labs.lab
    number = lab.committer.catalog.tables["t"].id_number

    def bring(tx: Any) -> None:
        for at in range(8):
            internal_id = bytes([at * 37 % 256]) * 16
            document = {"_id": encode_id(number, internal_id), "_creationTime": 1.0}
            tx.import_document(tx.table("t"), internal_id, document | {"n": at % 2})

    lab.system(bring)
    lab.committer.settle_all()
    tx = lab.committer.begin(writable=False)
    for order in (("n", "asc"), ("n", "desc"), "desc", None):
        for result in (pages, lambda query: query.take(3), list):
            question = (lambda q: q.n >= 0, order, result, None)
            by_rows = labs.run(question, tx, NO_INDEXES)
            assert labs.run(question, tx, lab.keeper) == by_rows


# -- as users write it --------------------------------------------------------------------

SALES = [
    {"shop": "a", "sold": 3, "at": {"floor": 1}},
    {"shop": "b", "sold": 0.5},
    {"shop": "a", "sold": None, "at": {"floor": 2}},
    {"sold": 10},
]


@pytest.mark.parametrize("rows", [0, 1000])
@pytest.mark.parametrize(
    ("chain", "said"),
    [
        ("sum('sold')", 13.5),
        ("avg('sold')", 4.5),
        ("min('sold')", 0.5),
        ("max('sold')", 10),
        ("min('nothing')", None),
        ("avg('nothing')", None),
        ("sum('nothing')", 0),
        ("max('shop')", "b"),
        ("sum('at.floor')", 3),
        ("filter(lambda s: s.shop == 'a').sum('sold')", 3),
        (
            "group_by('shop').agg(n=count(), total=sum_('sold'), mean=avg('sold'))",
            [
                {"n": 1, "total": 10, "mean": 10},
                {"shop": "a", "n": 2, "total": 3, "mean": 3},
                {"shop": "b", "n": 1, "total": 0.5, "mean": 0.5},
            ],
        ),
        (
            "group_by('at.floor', 'shop').agg(most=max_('sold'), least=min_('sold'))[1:]",
            [
                {"shop": "b", "most": 0.5, "least": 0.5},
                {"at.floor": 1, "shop": "a", "most": 3, "least": 3},
                {"at.floor": 2, "shop": "a", "most": None, "least": None},
            ],
        ),
    ],
)
def test_aggregates(chain: str, said: Any, rows: int, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(knobs, "SCAN_PAYS_ROWS", rows)
    with mirrored_lab(
        f"@query\ndef f(ctx):\n    return ctx.db.query('t').{chain}"
    ) as lab:
        lab.insert("t", *SALES)
        lab.committer.settle_all()
        assert lab.query("m:f") == said


@pytest.mark.parametrize(
    ("chain", "said"),
    [
        ("sum('shop')", "`sum` of `shop` takes numbers"),
        ("group_by().agg(n=count())", "names of fields, not nothing"),
        ("group_by('shop')", "returns"),
        ("group_by('shop').agg(shop=count())", "the field `shop` already"),
        ("group_by('shop').agg(n=3)", "one of count()"),
    ],
)
def test_an_aggregate_that_cannot_be_is_explained(chain: str, said: str):
    with mirrored_lab(
        f"@query\ndef f(ctx):\n    return ctx.db.query('t').{chain}"
    ) as lab:
        lab.insert("t", *SALES)
        assert said in lab.query_error("m:f").message
