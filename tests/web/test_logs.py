"""The log over HTTP: who may read it, in which form, from where on."""

from __future__ import annotations

import asyncio
import uuid
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import aiohttp
import pytest
from tests.web.conftest import ADMIN_KEY, serving

from convexlab.functions.logs.entries import Completion, Origin, Progress
from convexlab.functions.logs.file import LogFile
from convexlab.functions.logs.stream import LogStream
from convexlab.sync.transition import request_id
from convexlab.web.logs import Logs

if TYPE_CHECKING:
    from collections.abc import AsyncIterator
    from pathlib import Path

    from convexlab.sync.gateway import Gateway

KEY = {"Authorization": f"Convex {ADMIN_KEY}"}
CLI = KEY | {"Convex-Client": "npm-cli-1.48.0"}
SESSION = str(uuid.uuid4())
REQUEST = request_id(SESSION, 3)


@dataclass
class Log:
    """A log behind a door."""

    stream: LogStream
    gateway: Gateway
    url: str
    http: aiohttp.ClientSession

    def ends(self, function: str, *lines: str, **changes: Any) -> None:
        """A mutation ends."""
        origin = Origin("Mutation", function, changes.pop("request", ""), "a-1")
        entry = Completion(
            self.stream.place(), origin, 0.1, "SyncWorker", log_lines=lines, **changes
        )
        self.stream.add(entry)

    def prints(self, *lines: str) -> None:
        """An action prints."""
        origin = Origin("Action", "ai:run", "", "a-2")
        self.stream.add(Progress(self.stream.place(), origin, lines))

    async def get(self, path: str, headers: Any = KEY, **asked: Any) -> Any:
        """What is answered."""
        async with self.http.get(
            self.url + path, params=asked, headers=headers
        ) as answer:
            assert answer.status == 200, await answer.text()
            return await answer.json()

    async def refused(self, path: str, headers: Any = KEY, **asked: Any) -> Any:
        """The status and the code of what is refused."""
        async with self.http.get(
            self.url + path, params=asked, headers=headers
        ) as answer:
            return answer.status, (await answer.json())["code"]


@asynccontextmanager
async def logging_to(folder: Path) -> AsyncIterator[Log]:
    stream = LogStream(LogFile(folder))
    async with serving(None) as served, aiohttp.ClientSession() as http:
        Logs(stream, served.gateway).add_to(served.door)
        yield Log(stream, served.gateway, served.url, http)
        await stream.close()


@pytest.fixture
async def log(tmp_path) -> AsyncIterator[Log]:
    async with logging_to(tmp_path) as one:
        yield one


def names(said: Any) -> list[str]:
    return [entry["identifier"] for entry in said["entries"]]


PATHS = (
    "/api/stream_function_logs",
    "/api/stream_udf_execution",
    "/api/convexlab/logs",
)


@pytest.mark.parametrize("path", PATHS)
async def test_only_the_owner_reads_it(log, path):
    assert await log.refused(path, {}) == (403, "BadDeployKey")
    wrong = {"Authorization": "Convex tiny|wrong"}
    assert await log.refused(path, wrong) == (403, "BadDeployKey")


async def test_the_newest_are_told_at_once_and_then_what_comes(log):
    first = await log.get(PATHS[0], CLI, cursor="0")
    assert first["entries"] == []
    following = asyncio.create_task(log.get(PATHS[0], CLI, cursor=first["newCursor"]))
    log.ends("m:a", "[LOG] 'x'")
    said = await following
    assert said["entries"][0]["logLines"][0]["messages"] == ["'x'"]
    again = await log.get(PATHS[0], CLI, cursor="0")
    assert again["entries"] == said["entries"]
    assert again["newCursor"] == said["newCursor"]


async def test_lines_are_text_to_whoever_reads_no_parts(log):
    log.ends("m:a", "[LOG] 'x'")
    (entry,) = (await log.get(PATHS[0]))["entries"]
    assert entry["logLines"] == ["[LOG] 'x'"]


async def test_executions_are_told_once_with_all_that_they_printed(log):
    log.prints("[LOG] 'x'")
    log.ends("m:a", "[LOG] 'x'", "[LOG] 'y'", told_lines=1)
    printed, ended = (await log.get(PATHS[0]))["entries"]
    assert (printed["kind"], printed["logLines"]) == ("Progress", ["[LOG] 'x'"])
    assert (ended["kind"], ended["logLines"]) == ("Completion", ["[LOG] 'y'"])
    (whole,) = (await log.get(PATHS[1], CLI))["entries"]
    assert whole["logLines"] == ["[LOG] 'x'", "[LOG] 'y'"]


async def test_one_request_of_a_session_is_followed(log):
    log.ends("m:a", request="another")
    log.ends("m:b", request=REQUEST)
    asked = {"sessionId": SESSION, "clientRequestCounter": "3"}
    assert names(await log.get(PATHS[0], **asked)) == ["m:b"]


@pytest.mark.parametrize(
    ("asked", "found"),
    [
        ({}, ["m:a", "n:b", "n:c"]),
        ({"function": "n"}, ["n:b", "n:c"]),
        ({"kind": "mutation", "limit": "1"}, ["n:c"]),
        ({"kind": "Query"}, []),
        ({"level": "warn"}, ["n:b"]),
        ({"level": "ERROR"}, ["n:c"]),
        ({"text": "HELLO"}, ["m:a"]),
        ({"request": "4711"}, ["n:b"]),
        ({"failed": "true"}, ["n:c"]),
    ],
)
async def test_a_page_follows_what_it_wants(log, asked, found):
    log.ends("m:a", "[LOG] 'hello'")
    log.ends("n:b", "[WARN] 1", request="4711")
    log.ends("n:c", error="Uncaught ValueError: x")
    assert names(await log.get(PATHS[2], **asked)) == found


async def test_what_comes_after_a_cursor_is_what_is_wanted(log):
    cursor = (await log.get(PATHS[2]))["cursor"]
    following = asyncio.create_task(log.get(PATHS[2], cursor=cursor, function="n:b"))
    log.ends("m:a")
    log.ends("n:b")
    assert names(await following) == ["n:b"]
    empty = await log.get(PATHS[2], cursor=cursor, function="x", wait="0")
    assert empty["entries"] == []
    assert empty["cursor"] > cursor


@pytest.mark.parametrize(
    "asked",
    [
        {"cursor": "x"},
        {"cursor": "nan"},
        {"cursor": "-1"},
        {"wait": "inf"},
        {"limit": "many"},
        {"kind": "cron"},
        {"level": "loud"},
    ],
)
async def test_what_cannot_be_meant_is_refused(log, asked):
    assert await log.refused(PATHS[2], **asked) == (400, "ArgumentValidationError")


async def test_who_follows_is_a_client(log):
    log.gateway.last_active = 0.0
    await log.get(PATHS[2])
    assert log.gateway.last_active > 0.0


async def test_a_request_that_no_session_sends_is_refused(log):
    asked = {"sessionId": "mine", "clientRequestCounter": "1"}
    assert await log.refused(PATHS[0], **asked) == (400, "ArgumentValidationError")


async def test_who_waits_is_told_when_the_deployment_ends(log):
    cursor = (await log.get(PATHS[2]))["cursor"]
    following = asyncio.create_task(log.refused(PATHS[2], cursor=cursor))
    log.stream.release()
    assert await following == (503, "Closing")
