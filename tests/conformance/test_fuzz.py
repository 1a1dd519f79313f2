"""Whatever anybody says on a socket: they are answered or closed, and nobody else sees.

Strangers come and go, speak the protocol, break it by a little or entirely, send
frames that are none, and hang up. All the while someone who does no such thing works
on, every process of the deployment lives, and nothing is logged that needs mending.
"""

from __future__ import annotations

import asyncio
import json
from typing import TYPE_CHECKING, Any

import hypothesis.strategies as st
from hypothesis import HealthCheck, settings
from hypothesis.stateful import (
    Bundle,
    RuleBasedStateMachine,
    consumes,
    multiple,
    rule,
    run_state_machine_as_test,
)
from tests.conformance.garbage import (
    BAD_FRAMES,
    BAD_HANDSHAKES,
    BAD_TOKENS,
    BROKEN,
    FATAL,
    GOOD,
    HARMLESS,
    garbled,
)
from tests.conformance.raw import (
    BINARY,
    CLOSE,
    CONTINUATION,
    PING,
    TEXT,
    frame,
    status_of,
)
from tests.conformance.scene import USERS
from tests.conformance.strangers import NO_STATUS, REASONS, Stranger, stranger

if TYPE_CHECKING:
    from tests.conformance.scene import Scene

SOME = settings(
    max_examples=60,
    stateful_step_count=30,
    deadline=None,
    suppress_health_check=list(HealthCheck),
)
# A connection that is closed while the other end goes on talking is reset by the
# network, and may take its last words with it.
RESET = 1006
SOCKETS = ("/api/1.48.0/sync", "/api/sync", "/api/1.12.0/sync")
FOLLOWED = st.sampled_from(
    [
        ("secrets:mine", {}),
        *(("secrets:about", {"owner": owner}) for owner in USERS),
        ("secrets:about", {"owner": 1}),
        ("points:get", {}),
        ("no:such", {}),
        ("not a path", {"a": None}),
        ("points:inc", {}),
    ]
)


class Strangers(RuleBasedStateMachine):
    """See the module.

    Args:
        scene: what is there.
    """

    peers = Bundle("peers")

    def __init__(self, scene: Scene) -> None:
        super().__init__()
        self.scene = scene
        self.open: list[Stranger] = []

    def run(self, awaited: Any) -> Any:
        return self.scene.runner.run(awaited)

    # -- keeping to the protocol ------------------------------------------------------

    @rule(target=peers, path=st.sampled_from(SOCKETS), says=st.booleans())
    def comes(self, path: str, says: bool) -> Any:
        if len(self.open) == 5:
            return multiple()
        peer = self.run(stranger(self.scene.url, path))
        if says:
            peer.arrives()
        self.open.append(peer)
        return peer

    @rule(target=peers, peer=consumes(peers), path=st.sampled_from(SOCKETS))
    def comes_back(self, peer: Stranger, path: str) -> Stranger:
        """Asking again for all that it asked for."""
        if not peer.is_good or not peer.is_named:
            return peer
        self.leaves(peer)
        return self.follows_on(peer, path)

    @rule(target=peers, peer=peers, path=st.sampled_from(SOCKETS))
    def is_there_twice(self, peer: Stranger, path: str) -> Any:
        """Both ask for the same, and both are answered."""
        if len(self.open) == 5 or not peer.is_good or not peer.is_named:
            return multiple()
        return self.follows_on(peer, path)

    def follows_on(self, peer: Stranger, path: str) -> Stranger:
        again = self.run(stranger(self.scene.url, path))
        again.follows_on(peer)
        self.open.append(again)
        return again

    @rule(peer=peers, times=st.integers(1, 3))
    def makes_calls(self, peer: Stranger, times: int) -> None:
        if peer.is_good and peer.is_named and not peer.is_succeeded:
            for _ in range(times):
                peer.make()

    @rule(peer=peers, query=FOLLOWED)
    def follows(self, peer: Stranger, query: tuple[str, Any]) -> None:
        if peer.is_good:
            peer.follow(*query)

    @rule(peer=peers, at=st.integers(0, 5))
    def unfollows(self, peer: Stranger, at: int) -> None:
        followed = [query for query in peer.asked if query not in peer.removed]
        if peer.is_good and followed:
            peer.unfollow(followed[at % len(followed)])

    @rule(peer=peers, user=st.sampled_from([None, *USERS]))
    def signs_in(self, peer: Stranger, user: str | None) -> None:
        if peer.is_good:
            peer.sign_in(user, self.scene.tokens.get(user))

    @rule(
        peer=peers,
        path=st.sampled_from(["secrets:keep", "points:inc", "no:such", "secrets:mine"]),
    )
    def mutates(self, peer: Stranger, path: str) -> None:
        if peer.is_good:
            peer.mutate(path)

    @rule(peer=peers, path=st.sampled_from(["secrets:read", "no:such"]))
    def acts(self, peer: Stranger, path: str) -> None:
        if peer.is_good:
            peer.act(path)

    @rule(peer=peers, sizes=st.lists(st.integers(0, 30), max_size=4))
    def speaks_in_parts(self, peer: Stranger, sizes: list[int]) -> None:
        """A message in several frames, a ping between them, is one message."""
        if peer.is_good:
            rest, opcode = b'{"type": "Event", "eventType": "x", "event": [1]}', TEXT
            for size in sizes:
                peer.socket.send(opcode, rest[:size], final=False)
                peer.socket.send(PING, b"between")
                rest, opcode = rest[size:], CONTINUATION
            peer.socket.send(opcode, rest)
            assert self.run(peer.settle())

    @rule(peer=peers, message=HARMLESS)
    def mentions(self, peer: Stranger, message: str) -> None:
        """Not a word in answer, nor the end."""
        if peer.is_good:
            peer.write(message)
            assert self.run(peer.settle())

    @rule(peer=peers, part=st.integers(1, 60))
    def speaks_slowly(self, peer: Stranger, part: int) -> None:
        """Half a frame holds nobody up, and is heard with its other half."""
        if peer.is_good:
            whole = frame(TEXT, json.dumps(GOOD[-1]).encode())
            peer.socket.write(whole[:part])
            self.run(self.scene.works())
            peer.socket.write(whole[part:])
            assert self.run(peer.settle())

    @rule(peer=peers)
    def waits(self, peer: Stranger) -> None:
        if peer.is_good:
            self.run(peer.at_rest())

    # -- not keeping to it ---------------------------------------------------------

    @rule(peer=consumes(peers), text=FATAL)
    def says_what_is_no_message(self, peer: Stranger, text: str) -> None:
        peer.write(text)
        self.ends(peer, "FatalError", {NO_STATUS})

    @rule(peer=consumes(peers), data=st.binary(max_size=20))
    def says_bytes(self, peer: Stranger, data: bytes) -> None:
        peer.socket.send(BINARY, b"\xff" + data)
        self.ends(peer, "FatalError", {NO_STATUS})

    @rule(peer=consumes(peers), message=BROKEN)
    def miscounts(self, peer: Stranger, message: dict[str, Any]) -> None:
        peer.write(json.dumps(message))
        self.ends(peer, None, {1011})

    @rule(peer=consumes(peers), remove=st.booleans())
    def changes_what_is_not_so(self, peer: Stranger, remove: bool) -> None:
        followed = [query for query in peer.asked if query not in peer.removed]
        change: dict[str, Any] = {"type": "Remove", "queryId": 7777}
        if followed and not remove:
            query = {"udfPath": "points:get", "args": [{}]}
            change = {"type": "Add", "queryId": followed[0], **query}
        peer.is_good = False
        peer.modify(change)
        self.ends(peer, None, {1011})

    @rule(
        peer=consumes(peers), token=BAD_TOKENS, kind=st.sampled_from(["User", "Admin"])
    )
    def shows_a_bad_token(self, peer: Stranger, token: str, kind: str) -> None:
        peer.say("Authenticate", baseVersion=peer.identity, tokenType=kind, value=token)
        self.ends(peer, "AuthError", {NO_STATUS})

    @rule(peer=consumes(peers), data=BAD_FRAMES)
    def sends_what_is_no_frame(self, peer: Stranger, data: bytes) -> None:
        peer.socket.write(data)
        self.ends(peer, None, {1000, 1002, 1007, 1009, NO_STATUS, RESET})

    @rule(target=peers, peer=consumes(peers), text=garbled() | st.text(max_size=20))
    def garbles(self, peer: Stranger, text: str) -> Any:
        """Whether that means something is not known here; it is heard, or closed."""
        peer.is_good = False
        peer.write(text)
        if self.run(peer.settle()):
            return peer
        self.ends(peer, None, REASONS)
        return multiple()

    @rule(peer=consumes(peers), part=st.integers(1, 200))
    def leaves_in_the_middle(self, peer: Stranger, part: int) -> None:
        whole = frame(TEXT, json.dumps(GOOD[3]).encode())
        peer.socket.write(whole[:part])
        self.leaves(peer)

    @rule(peer=consumes(peers), more=st.booleans())
    def says_goodbye(self, peer: Stranger, more: bool) -> None:
        """What it says after that is not heard."""
        peer.socket.send(CLOSE, (1000).to_bytes(2))
        if more:
            peer.write('{"type": "Nothing"}')
            peer.socket.send(PING, b"after")
        self.ends(peer, None, {1000, RESET} if more else {1000})

    @rule(asked=BAD_HANDSHAKES)
    def asks_for_no_socket(self, asked: str) -> None:
        """What is no handshake has an answer that says so."""
        assert 400 <= self.run(status_of(self.scene.url, asked.encode())) < 500

    # -- the end -------------------------------------------------------------------

    def ends(self, peer: Stranger, last: str | None, codes: set[int]) -> None:
        """It is closed, for a reason that it is told."""
        assert not self.run(peer.settle()), "it goes on"
        assert peer.code in codes, (peer.code, peer.messages[-1:])
        if peer.code == NO_STATUS:
            assert last is None or peer.last == last
            assert peer.last in {"FatalError", "AuthError"} or last is None
        self.leaves(peer)

    def leaves(self, peer: Stranger) -> None:
        peer.socket.abort()
        self.open.remove(peer)

    def teardown(self) -> None:
        try:
            for peer in self.open:
                if peer.is_good:
                    self.run(peer.at_rest())
            self.run(self.scene.works())
        finally:
            for peer in self.open:
                peer.socket.abort()
            self.run(asyncio.sleep(0))


def test_whatever_is_said_is_answered_or_ends_who_says_it(scene):
    run_state_machine_as_test(lambda: Strangers(scene), settings=SOME)
