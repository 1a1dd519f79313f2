"""A page: a conversation with a gateway in the same process, without a wire."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

from tests.sync.conversation import Conversation

if TYPE_CHECKING:
    from convexlab.sync.gateway import Gateway


class Page(Conversation):
    """One connection; it is the gateway's outbox too."""

    def __init__(
        self,
        gateway: Gateway,
        truth: Any = None,
        *,
        locked: bool = False,
        resends: bool = False,
    ) -> None:
        super().__init__(truth)
        self.gateway = gateway
        self.session = gateway.connect(self, locked=locked, resends=resends)
        self.closed: tuple[int, str] | None = None
        self.congested = False

    def say(self, kind: str, **fields: Any) -> Any:
        return self.gateway.receive(self.session, json.dumps({"type": kind, **fields}))

    def authenticate(self, caller: Any) -> None:
        base, self.identity = self.identity, self.identity + 1
        shown = self.say(
            "Authenticate", baseVersion=base, tokenType="User", value="token"
        )
        assert shown is not None
        self.gateway.authenticated(self.session, caller)

    def leave(self) -> None:
        self.gateway.disconnected(self.session)

    def send(self, text: bytes, *, is_transition: bool) -> None:
        assert self.closed is None, f"{text!r} after the close"
        message = json.loads(text)
        assert is_transition == (message["type"] == "Transition")
        self.told(message)

    def close(self, code: int, reason: str) -> None:
        self.closed = (code, reason)

    @property
    def is_congested(self) -> bool:
        return self.congested
