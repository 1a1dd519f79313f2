"""An attachment: an address that stays good while deployments come and go.

A local deployment ends by itself half an hour after its last client, and a new
one has another port. So a request that found nobody listening finds, or starts,
the deployment of the same folder and is sent once more; what may have been
received is never sent twice (see `endpoint`, E1).
"""

from __future__ import annotations

import threading
from typing import IO, TYPE_CHECKING, TypeVar

import msgspec

from convexlab.errors import NotAllowed, NotRunning, Unavailable
from convexlab_kernel import discovery
from convexlab_kernel.endpoint import Answer, Endpoint

if TYPE_CHECKING:
    from collections.abc import Callable
    from contextlib import AbstractContextManager

    from convexlab_kernel.discovery import Address

T = TypeVar("T")


class Attachment:
    """Requests to a deployment, wherever it is just now.

    Args:
        address: where it was found.
        authorization: what requests carry instead of the address's own key.
    """

    def __init__(self, address: Address, *, authorization: str | None = None) -> None:
        self._authorization = authorization
        self._lock = threading.Lock()
        self._use(address)

    def _use(self, address: Address) -> None:
        self.address = address
        own = self._authorization
        headers = address.headers if own is None else {"Authorization": own}
        # A user's token opens no gate, so its requests take the secret path.
        admin = headers.get("Authorization", "").startswith("Convex ")
        self.endpoint = Endpoint(
            address.url if admin else address.client_url, headers=headers
        )

    @property
    def name(self) -> str:
        """What the deployment is called."""
        return self.address.name

    @property
    def admin(self) -> bool:
        """Whether requests carry the deployment's key."""
        own = self._authorization
        return own.startswith("Convex ") if own else self.address.admin_key is not None

    def get(self, path: str, shape: type[T]) -> T:
        """Ask for a path whose answer has this shape."""
        body = self._ask(lambda endpoint: endpoint.get(path))
        return msgspec.json.decode(body, type=shape)

    def post(
        self,
        path: str,
        body: bytes | IO[bytes],
        *,
        kind: str = "application/json",
        sending: AbstractContextManager[object] | None = None,
    ) -> bytes:
        """Send a body; the answer's body."""
        return self._ask(
            lambda endpoint: endpoint.post(path, body, kind=kind, sending=sending)
        )

    def answer(self, path: str, body: bytes) -> Answer:
        """Send a body; the answer, with as of when it is."""
        return self._ask(lambda endpoint: endpoint.answer(path, body))

    def fetch(self, path: str, out: IO[bytes]) -> None:
        """Write what there is at a path to a file, as it comes."""
        self._ask(lambda endpoint: endpoint.fetch(path, out))

    def need_admin(self, what: str) -> None:
        """Refuse what only the deployment's key opens."""
        if not self.admin:
            message = (
                f"{what} needs the deployment's key: connect(…, admin_key=…), or set "
                "CONVEXLAB_ADMIN_KEY before Jupyter starts."
            )
            raise NotAllowed(message)

    def refresh(self) -> Address:
        """Look where the deployment is now, without starting it."""
        folder = self.address.folder
        found = discovery.read_address(folder) if folder is not None else None
        with self._lock:
            if found is not None and found != self.address:
                self.endpoint.close()
                self._use(found)
            return self.address

    def close(self) -> None:
        """Close the kept connections."""
        self.endpoint.close()

    def _ask(self, send: Callable[[Endpoint], T]) -> T:
        endpoint = self.endpoint
        try:
            return send(endpoint)
        except NotRunning:
            if self.address.folder is None:
                raise
        self._revive(endpoint)
        return send(self.endpoint)

    def _revive(self, dead: Endpoint) -> None:
        folder = self.address.folder
        if folder is None:
            raise Unavailable(f"{self.address.url} is not running.")
        with self._lock:
            if self.endpoint is dead:
                self._use(discovery.attach(folder))
                dead.close()
