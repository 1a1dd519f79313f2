"""A kept result is what a run at the newest timestamp would say."""

from __future__ import annotations

import hypothesis.strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, rule

from convexlab.documents.expression import encode
from convexlab.engine.look import Read
from convexlab.engine.versions import Versions
from convexlab.followers.written import Written
from convexlab.functions.cache import Findings, QueryToken, Results

TOKENS = [
    QueryToken("m:f", b"{}"),
    QueryToken("m:g", b"{}"),
    QueryToken("m:f", b"{}", admin=True),
]
DONE = encode(("eq", ("field", "done"), ("literal", True)))
READS = {
    token: [
        Read(1, bytes([number]), bytes([number + 2]), DONE if number == 2 else None)
    ]
    for number, token in enumerate(TOKENS)
}
KEYS = st.lists(st.tuples(st.just(1), st.binary(min_size=1, max_size=1)), max_size=2)
A_TO_B = Read(1, b"a", b"b")
WRITTEN = KEYS.map(Written) | st.builds(
    lambda old, new, key: Written(
        versions=[Versions(old, new, ((1, key),), ((1, key),))]
    ),
    st.sampled_from([b"{}", b'{"done":true}']),
    st.sampled_from([b"{}", b'{"done":true}']),
    st.binary(min_size=1, max_size=1),
)


class Clock:
    def __init__(self):
        self.now = 0.0

    def __call__(self):
        return self.now


def keep(
    results,
    token,
    ts,
    payload="x",
    *,
    identity=None,
    watcher=None,
    reads=(A_TO_B,),
    **findings,
):
    result = results.keep(
        token,
        identity,
        ts,
        payload,
        size=len(payload),
        journal=None,
        findings=Findings(reads, **findings),
    )
    if watcher is not None and result.until is None:
        results.watch(result, watcher)
    results.release(result)
    return result


class ResultsModel(RuleBasedStateMachine):
    """R1 and R2: a query's true value is how often its reads were written so far."""

    @initialize()
    def start(self):
        self.ts = 1
        self.results: Results[str] = Results(clock=Clock(), payload_bytes=3)
        self.history: dict[int, dict[QueryToken, int]] = {1: dict.fromkeys(TOKENS, 0)}
        self.running: list[tuple[QueryToken, int]] = []
        self.kept: list = []

    def truth(self, token, ts):
        return str(self.history[ts][token])

    @rule(token=st.sampled_from(TOKENS))
    def begin(self, token):
        self.results.begin(self.ts)
        self.running.append((token, self.ts))

    @rule(data=st.data(), watched=st.booleans())
    def finish(self, data, watched):
        if not self.running:
            return
        token, ts = self.running.pop(data.draw(st.integers(0, len(self.running) - 1)))
        said = self.truth(token, ts)
        watcher = object() if watched else None
        result = keep(
            self.results, token, ts, said, reads=READS[token], watcher=watcher
        )
        assert result.exact_at(ts)
        self.kept.append((token, result))

    @rule(written=WRITTEN, known=st.booleans(), gap=st.integers(0, 2))
    def publish(self, written, known, gap):
        previous, self.ts = self.ts, self.ts + gap
        if not gap:
            written, known = Written(), True
        counts = {
            token: count + written.touches(READS[token])
            for token, count in self.history[previous].items()
        }
        self.history.update({self.ts: counts})
        for ts in range(previous + 1, self.ts):
            self.history[ts] = counts
        ended = self.results.publish(previous, self.ts, written if known else None)
        assert all(not result.exact_at(self.ts) for result in ended)

    @rule(data=st.data())
    def unwatch(self, data):
        watched = [result for _, result in self.kept if result.watchers]
        if watched:
            result = data.draw(st.sampled_from(watched))
            for watcher in list(result.watchers):
                self.results.unwatch(result, watcher)

    @invariant()
    def what_is_found_is_true(self):
        self.results.check()
        for token in TOKENS:
            found = self.results.find(token, None, self.ts)
            assert found is None or found.payload == self.truth(token, self.ts)
        for token, result in self.kept:
            for ts in range(result.since, self.ts + 1):
                if result.exact_at(ts):
                    assert result.payload in (None, self.truth(token, ts))


TestResults = ResultsModel.TestCase


def test_a_result_that_looked_at_nobody_is_everyones():
    results: Results[str] = Results(clock=Clock())
    results.begin(1)
    result = keep(results, TOKENS[0], 1, identity=b"ann")
    assert results.find(TOKENS[0], b"bob", 1) is result
    assert results.find(TOKENS[2], b"bob", 1) is None


def test_a_result_that_looked_at_its_caller_is_the_callers():
    results: Results[str] = Results(clock=Clock())
    results.begin(1)
    result = keep(results, TOKENS[0], 1, identity=b"ann", identity_read=True)
    assert results.find(TOKENS[0], b"ann", 1) is result
    assert results.find(TOKENS[0], b"bob", 1) is None
    assert results.find(TOKENS[0], None, 1) is None


def test_a_result_touched_while_it_was_read_is_good_at_its_snapshot_only():
    results: Results[str] = Results(clock=Clock())
    results.begin(5)
    results.publish(5, 9, Written([(1, b"a")]))
    result = keep(results, TOKENS[0], 5)
    assert (result.since, result.until) == (5, 6)
    assert results.find(TOKENS[0], None, 9) is None


def test_a_result_that_looked_at_the_clock_ages():
    clock = Clock()
    results: Results[str] = Results(clock=clock)
    results.begin(1)
    old = keep(results, TOKENS[0], 1, clock_read=True, watcher="watcher")
    assert results.find(TOKENS[0], None, 1) is old
    clock.now = 6.0
    assert results.find(TOKENS[0], None, 1) is None
    results.begin(1)
    new = keep(results, TOKENS[0], 1, "y", clock_read=True)
    assert results.find(TOKENS[0], None, 1) is new
    assert set(results.publish(1, 2, Written([(1, b"a")]))) == {old, new}
    results.check()


def test_a_result_that_met_an_index_behind_is_for_who_waited_and_takes_no_ones_place():
    results: Results[str] = Results(clock=Clock(), payload_bytes=4)
    results.begin(1)
    early = keep(results, TOKENS[0], 1, "wait", index_behind=True, watcher="early")
    assert early.payload == "wait"
    assert results.find(TOKENS[0], None, 1) is None
    results.begin(1)
    final = keep(results, TOKENS[0], 1, "said", watcher="late")
    assert results.find(TOKENS[0], None, 1) is final
    results.begin(1)
    keep(results, TOKENS[1], 1, "1234")  # for which the payload goes
    results.begin(1)
    again = keep(results, TOKENS[0], 1, "wait", index_behind=True)
    assert (again, again.payload) == (final, None)
    assert set(results.publish(1, 2, Written([(1, b"a")]))) >= {early, final}
    results.check()


def test_payloads_that_nobody_asked_for_longest_go_first():
    """R4; those that somebody watches keep everything else (R3)."""
    results: Results[str] = Results(clock=Clock(), payload_bytes=10)
    for token, watcher in zip(TOKENS, ("watcher", None, None), strict=True):
        results.begin(1)
        keep(results, token, 1, "1234", watcher=watcher)
    results.check()
    assert results.find(TOKENS[0], None, 1) is None
    assert results.find(TOKENS[1], None, 1)
    assert results.find(TOKENS[2], None, 1)
    results.begin(1)
    again = keep(results, TOKENS[0], 1, "1234")
    assert again.watchers == {"watcher"}
    assert results.find(TOKENS[0], None, 1) is again
    assert results.find(TOKENS[1], None, 1) is None
    results.check()
    (ended, _) = results.publish(1, 2, Written([(1, b"a")]))
    assert ended.payload is None


def test_a_payload_that_is_too_large_is_told_and_not_kept():
    results: Results[str] = Results(clock=Clock(), payload_bytes=10)
    for watcher in ("watcher", None):
        results.begin(1)
        result = keep(results, TOKENS[0], 1, "x" * 11, watcher=watcher)
        assert (result.payload, len(results)) == (None, 1)
        results.check()
    results.unwatch(result, "watcher")
    assert len(results) == 0
    results.begin(1)
    keep(results, TOKENS[0], 1, "x" * 11)
    assert len(results) == 0


def test_a_result_is_held_until_all_who_waited_have_heard():
    results: Results[str] = Results(clock=Clock(), payload_bytes=4)
    results.begin(1)
    findings = Findings([A_TO_B])
    result = results.keep(
        TOKENS[0], None, 1, "1234", size=4, journal=None, findings=findings
    )
    results.begin(1)
    keep(results, TOKENS[1], 1, "1234")
    assert result.payload is None
    results.watch(result, "late")
    results.release(result)
    results.check()
    assert result in results.publish(1, 2, Written([(1, b"a")]))
