"""Files over HTTP: in, out, a part, gone; whole or not at all, whatever dies."""

from __future__ import annotations

import hashlib
import http.client
import os
from base64 import b64encode
from typing import TYPE_CHECKING
from urllib.parse import urlsplit

import httpx
import pytest
from tests.deployments import deployment, until

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from tests.deployments import Deployment

MODULE = """
import tempfile
from convexlab import action, mutation, query

@mutation
def upload_url(ctx): return ctx.storage.generate_upload_url()

@query
def url(ctx, id): return ctx.storage.get_url(id)

@mutation
def delete(ctx, id): ctx.storage.delete(id)

@action
async def copy(ctx, id, type):
    data = await ctx.storage.get(id)
    copied = await ctx.storage.store(data[::-1], content_type=type)
    assert await ctx.storage.get_url("%s" % copied) is not None
    return [copied, await ctx.storage.get_metadata(copied), await ctx.storage.generate_upload_url()]

@action
def copy_plain(ctx, id):
    with tempfile.TemporaryFile() as file:
        file.write(ctx.storage.get(id) * 2)
        file.seek(0)
        return ctx.storage.store(file)

@action
async def forget(ctx, id):
    await ctx.storage.delete(id)
    return [await ctx.storage.get(id), await ctx.storage.get_url(id)]

@action
async def mismatch(ctx):
    await ctx.storage.store(b"x", sha256="00" * 32)

@query
def files(ctx): return ctx.db.system.query("_storage").collect()
"""
web = httpx.Client(verify=False, timeout=60)
DATA = bytes(range(256)) * 1000
SHA256 = b64encode(hashlib.sha256(DATA).digest()).decode()


@pytest.fixture(scope="module")
def running(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Deployment]:
    with deployment(tmp_path_factory.mktemp("files") / "one", {"m": MODULE}) as one:
        yield one


def upload(running: Deployment, data: bytes = DATA, **headers: str) -> httpx.Response:
    return web.post(running.mutation("m:upload_url"), content=data, headers=headers)


def stored(running: Deployment, data: bytes = DATA, **headers: str) -> str:
    answer = upload(running, data, **headers)
    assert answer.status_code == 200, answer.text
    storage_id: str = answer.json()["storageId"]
    return storage_id


def address(running: Deployment, data: bytes = DATA, **headers: str) -> str:
    url: str = running.query("m:url", id=stored(running, data, **headers))
    return url


def test_what_goes_in_comes_out_with_its_type(running: Deployment):
    url = address(
        running, **{"Content-Type": "image/png", "Digest": f"sha-256={SHA256}"}
    )
    answer = web.get(url, headers={"Origin": "https://page.example"})
    assert (answer.status_code, answer.content) == (200, DATA)
    assert answer.headers["Content-Type"] == "image/png"
    assert answer.headers["Content-Length"] == str(len(DATA))
    assert answer.headers["Digest"] == f"sha-256={SHA256}"
    assert answer.headers["Cache-Control"] == "private, max-age=2592000"
    assert answer.headers["Accept-Ranges"] == "bytes"
    assert answer.headers["Access-Control-Allow-Origin"] == "https://page.example"
    assert not answer.headers.keys() & {"etag", "last-modified", "content-disposition"}


def test_its_document_says_what_it_is(running: Deployment):
    storage_id = stored(running, b"few", **{"Content-Type": "text/plain"})
    documents = {each["_id"]: each for each in running.query("m:files")}
    document = documents[storage_id]
    assert (document["size"], document["contentType"]) == (3.0, "text/plain")
    assert document["sha256"] == b64encode(hashlib.sha256(b"few").digest()).decode()


def test_head_says_all_but_the_bytes(running: Deployment):
    answer = web.head(address(running))
    assert (answer.status_code, answer.content) == (200, b"")
    assert answer.headers["Content-Length"] == str(len(DATA))


@pytest.mark.parametrize(
    ("asked", "status", "part", "said"),
    [
        ("bytes=0-0", 206, DATA[:1], "bytes 0-0/256000"),
        ("bytes=10-19", 206, DATA[10:20], "bytes 10-19/256000"),
        ("bytes=255990-", 206, DATA[-10:], "bytes 255990-255999/256000"),
        ("bytes=-5", 206, DATA[-5:], "bytes 255995-255999/256000"),
        ("bytes=255999-999999", 206, DATA[-1:], "bytes 255999-255999/256000"),
        ("bytes=256000-", 416, b"", "bytes */256000"),
        ("bytes=0-0,5-6", 416, b"", "bytes */256000"),
        ("lines=1-2", 200, DATA, None),
        ("bytes=x-y", 200, DATA, None),
    ],
)
def test_a_range_of_it(
    running: Deployment, asked: str, status: int, part: bytes, said: str | None
):
    answer = web.get(address(running), headers={"Range": asked})
    assert (answer.status_code, answer.content) == (status, part)
    assert answer.headers.get("Content-Range") == said
    assert ("Digest" in answer.headers) == (status == 200)


def test_an_empty_file_has_no_ranges(running: Deployment):
    answer = web.get(address(running, b""), headers={"Range": "bytes=0-0"})
    assert (answer.status_code, answer.content) == (200, b"")


@pytest.mark.parametrize(
    ("path", "status", "code"),
    [
        ("nonsense", 400, "InvalidStoragePath"),
        ("00000000-0000-4000-8000-000000000000", 404, "FileNotFound"),
    ],
)
def test_an_address_of_nothing(running: Deployment, path: str, status: int, code: str):
    answer = web.get(f"{running.url}/api/storage/{path}")
    assert (answer.status_code, answer.json()["code"]) == (status, code)


def test_a_deleted_file_has_no_address_any_more(running: Deployment):
    storage_id = stored(running)
    url = running.query("m:url", id=storage_id)
    running.mutation("m:delete", id=storage_id)
    assert web.get(url).status_code == 404
    assert running.query("m:url", id=storage_id) is None


# -- uploads that are refused, or cut ------------------------------------------------


@pytest.mark.parametrize(
    "digest", ["sha-256=AAAA", "md5=x", f"sha-256={b64encode(b'x' * 32).decode()}"]
)
def test_bytes_that_are_not_what_was_announced(running: Deployment, digest: str):
    before = running.query("m:files")
    answer = upload(running, Digest=digest)
    assert (answer.status_code, answer.json()["code"]) == (400, "Sha256Mismatch")
    assert running.query("m:files") == before


@pytest.mark.parametrize("token", ["", "made-up", "A" * 32])
def test_an_upload_url_that_nobody_made(running: Deployment, token: str):
    answer = web.post(f"{running.url}/api/storage/upload?token={token}", content=b"x")
    assert (answer.status_code, answer.json()["code"]) == (401, "StorageTokenInvalid")


def arriving(running: Deployment) -> list[Path]:
    return list((running.folder / "files" / "arriving").glob("*"))


def cut_upload(running: Deployment) -> http.client.HTTPConnection:
    """An upload that has begun and goes no further."""
    url = urlsplit(running.mutation("m:upload_url"))
    connection = http.client.HTTPConnection(url.netloc)
    connection.putrequest("POST", f"{url.path}?{url.query}")
    connection.putheader("Content-Length", str(8 << 20))
    connection.endheaders()
    connection.send(os.urandom(4 << 20))
    until(lambda: any(f.stat().st_size for f in arriving(running)), running.log)
    return connection


def test_an_upload_that_is_cut_leaves_nothing(running: Deployment):
    before = running.query("m:files")
    cut_upload(running).close()
    until(lambda: not arriving(running), running.log)
    assert running.query("m:files") == before


def test_whatever_is_killed_a_file_is_whole_or_not_there(tmp_path: Path):
    with deployment(tmp_path / "one", {"m": MODULE}) as running:
        url = address(running)
        connection = cut_upload(running)
        running.kill()
        connection.close()
        running.start()
        assert len(running.query("m:files")) == 1
        name = url.rpartition("/")[2]
        assert web.get(f"{running.url}/api/storage/{name}").content == DATA


def test_bytes_that_are_nobodys_are_swept(tmp_path: Path):
    knobs = {"FILE_GRACE_SECONDS": 0.05, "FILE_SWEEP_SECONDS": 0.05}
    with deployment(tmp_path / "one", {"m": MODULE}, **knobs) as running:
        kept, other = stored(running, b"kept"), stored(running, b"other")
        again = stored(running, b"other")
        running.mutation("m:delete", id=other)
        assert web.get(running.query("m:url", id=again)).content == b"other"
        running.mutation("m:delete", id=again)
        until(lambda: len(list(names_of(running))) == 1, running.log)
        assert web.get(running.query("m:url", id=kept)).content == b"kept"


def names_of(running: Deployment) -> Iterator[Path]:
    yield from (running.folder / "files").glob("[0-9a-f][0-9a-f]/*")


# -- in actions --------------------------------------------------------------------------


def test_actions_read_and_write_files(running: Deployment):
    first = stored(running, b"abc")
    copied, metadata, url = running.call("action", "m:copy", id=first, type="x/y")[
        "value"
    ]
    assert metadata == {
        "storageId": copied,
        "sha256": hashlib.sha256(b"cba").hexdigest(),
        "size": 3.0,
        "contentType": "x/y",
    }
    answer = web.get(running.query("m:url", id=copied))
    assert (answer.content, answer.headers["Content-Type"]) == (b"cba", "x/y")
    assert web.post(url, content=b"more").status_code == 200
    twice = running.call("action", "m:copy_plain", id=first)["value"]
    assert web.get(running.query("m:url", id=twice)).content == b"abcabc"
    assert running.call("action", "m:forget", id=twice)["value"] == [None, None]


def test_what_an_action_stores_is_what_it_says(running: Deployment):
    before = running.query("m:files")
    said = running.call("action", "m:mismatch")
    assert "Sha256Mismatch: The file's SHA-256 is" in said["errorMessage"]
    assert running.query("m:files") == before
