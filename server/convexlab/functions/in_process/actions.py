"""Actions inside one process: run to their end, and what they ask for answered.

A plain one runs where it is called, an `async` one on a loop and a thread of its own;
one that answers a request as in `http`.
"""

from __future__ import annotations

import asyncio
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from functools import partial
from typing import TYPE_CHECKING, Any

import msgspec

from convexlab.documents.encoding import from_stored, to_stored
from convexlab.engine.files import MemoryFiles
from convexlab.errors import ConvexlabError, NotAllowed
from convexlab.functions import (
    action_scheduler,
    action_storage,
    embedding_model,
    file_documents,
    system_mutations,
    vector_search,
)
from convexlab.functions.action_run import (
    Asked,
    Prepared,
    World,
    prepare,
    run_async,
    run_plain,
)
from convexlab.functions.awaited_calls import watch_tasks
from convexlab.functions.file_addresses import addresses_of
from convexlab.functions.in_process.calls import SECRET
from convexlab.functions.in_process.http import fetch
from convexlab.functions.in_process.outcomes import show, value_of
from convexlab.functions.processes.failures import failure_from, raised_from
from convexlab.functions.requested import Client, requested
from convexlab.functions.runner import Outcome

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from convexlab.followers.keeper import PlainKeeper
    from convexlab.functions.awaited_calls import PlainAsk
    from convexlab.functions.http_run import HttpAsked
    from convexlab.functions.identity import Identity
    from convexlab.functions.in_process.calls import Calls
    from convexlab.functions.in_process.http import Sent
    from convexlab.functions.in_process.store import Store


class Actions:
    """See the module.

    Args:
        store: what time it is, and where files and vectors are looked up.
        calls: the queries and mutations that they ask for.
        derived: the indexes that follow the log.
        environment: the deployment's variables.
    """

    def __init__(
        self,
        store: Store,
        calls: Calls,
        derived: PlainKeeper,
        environment: Mapping[str, str],
    ) -> None:
        self._store = store
        self._calls = calls
        self._derived = derived
        self._environment = environment
        self._files = MemoryFiles()
        self._addresses = addresses_of(SECRET)

    def call(
        self,
        path: str,
        args: bytes,
        identity: Identity | None,
        parent: str = "",
        *,
        request: bytes = b"",
    ) -> Outcome:
        """Run an action; as `Calls.call`."""
        request = request or self._calls.requested(parent)
        asked = Asked(path, args, identity, admin=True, stored=True, request=request)
        prepared = prepare(self._world(), asked)
        if isinstance(prepared, Outcome):
            return prepared
        ask = partial(self._answer, identity=identity, parent=parent, request=request)
        if not prepared.definition.is_async:
            return run_plain(prepared, ask)
        # N.B. the test itself may be running on an event loop.
        with ThreadPoolExecutor(1) as thread:
            return thread.submit(asyncio.run, _run_async(prepared, ask)).result()

    def fetch(self, asked: HttpAsked, body: bytes) -> Sent:
        """Have a request answered by its HTTP action."""
        agent = dict(asked.headers).get("user-agent")
        client = Client("127.0.0.1", agent)
        request = requested(client, self._calls.next_name(), None)
        asked = replace(asked, request=request)
        ask = partial(self._answer, identity=asked.identity, request=request)
        sent = fetch(self._world(), asked, body, ask)
        error = sent.outcome.error
        message = None if error is None else error.message
        show(f"{asked.method} {asked.path}", sent.outcome.log_lines, message)
        return sent

    def _world(self) -> World:
        return World(
            self._calls.modules,
            self._store.committer.catalog.table_numbers,
            self._environment,
            now_ns=lambda: self._store.now_ns,
            files=self._files,
        )

    # -- what they ask for ------------------------------------------------------------

    def _answer(
        self,
        kind: str,
        path: str,
        body: bytes,
        *,
        identity: Identity | None,
        request: bytes,
        parent: str = "",
    ) -> bytes:
        """What a running action asks for.

        Raises:
            ConvexlabError: what the action is to raise.
        """
        if kind == action_scheduler.SCHEDULE:
            return self._calls.do(system_mutations.SCHEDULE, body, parent)
        if kind == action_scheduler.CANCEL:
            return self._calls.do(system_mutations.CANCEL, body, parent)
        if kind == embedding_model.EMBED:
            return _embedded(body)
        if kind == vector_search.ASK:
            return self._search_vectors(body)
        if kind in self._of_files:
            return self._of_files[kind](body)
        match kind:
            case "query" | "mutation":
                outcome = self._calls.call(
                    kind, path, body, identity, parent, request=request
                )
            case "action":
                outcome = self.call(path, body, identity, parent, request=request)
            case _:
                raise NotAllowed(f"`{kind}` is not there in a test's own deployment.")
        return value_of(path, outcome)

    def _search_vectors(self, body: bytes) -> bytes:
        with self._store.lock:
            tx = self._store.begin(writable=False)
            ask = partial(
                self._derived.ask, at=tx.snapshot.durable_ts, patience_seconds=0.0
            )
            try:
                return vector_search.answer(tx, ask, body)
            except ConvexlabError as error:
                raise raised_from(failure_from(error)) from None

    @property
    def _of_files(self) -> dict[str, Callable[[bytes], bytes]]:
        """What they ask about files."""
        return {
            action_storage.ADD: partial(self._calls.do, system_mutations.STORE),
            action_storage.DELETE: partial(self._calls.do, system_mutations.DELETE),
            action_storage.FIND: self._find_file,
            action_storage.UPLOAD_URL: lambda _: to_stored(
                self._addresses.of_upload(self._store.now_ns / 1e6)
            ),
        }

    def _find_file(self, body: bytes) -> bytes:
        storage_id = msgspec.json.decode(body)["id"]
        tx = self._store.begin(writable=False)
        found = file_documents.find(tx, storage_id, "get")
        if found is None:
            return b"null"
        url = self._addresses.of_file(found.internal_id)
        return msgspec.json.encode(action_storage.described(found, url))


def _embedded(body: bytes) -> bytes:
    asked: Any = from_stored(body)
    try:
        found: Any = embedding_model.embed(list(asked["texts"]), model=asked["model"])
    except ConvexlabError as error:
        raise raised_from(failure_from(error)) from None
    return to_stored(found)


async def _run_async(prepared: Prepared, answer: PlainAsk) -> Outcome:
    async def ask(kind: str, path: str, body: bytes) -> bytes:
        return answer(kind, path, body)

    watch_tasks(asyncio.get_running_loop())
    return await run_async(prepared, ask)
