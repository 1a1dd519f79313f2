"""Point 53: files, uploaded to an address and fetched from one."""

from __future__ import annotations

from base64 import b64encode
from hashlib import sha256

import aiohttp
import pytest

CONTENT = b"0123456789"
DIGEST = f"sha-256={b64encode(sha256(CONTENT).digest()).decode()}"


@pytest.fixture
async def http():
    async with aiohttp.ClientSession() as session:
        yield session


async def test_point_53_a_file_comes_back_as_it_went(http, running):
    upload = running.mutation("files:upload")
    headers = {"Content-Type": "text/x-mine", "Digest": DIGEST}
    async with http.post(upload, data=CONTENT, headers=headers) as answer:
        assert answer.status == 200
        file_id = (await answer.json())["storageId"]
    address = running.query("files:address", id=file_id)
    async with http.get(address) as answer:
        assert (answer.status, await answer.read()) == (200, CONTENT)
        said = answer.headers
        assert said["Content-Type"] == "text/x-mine"
        assert said["Content-Length"] == "10"
        assert said["Digest"] == DIGEST
        assert said["Cache-Control"] == "private, max-age=2592000"
        assert said["Accept-Ranges"] == "bytes"
    for asked, status, body in (
        ("bytes=0-0", 206, b"0"),
        ("bytes=7-", 206, b"789"),
        ("bytes=0-1,4-5", 416, b""),
        ("nonsense", 200, CONTENT),
    ):
        async with http.get(address, headers={"Range": asked}) as answer:
            assert (answer.status, await answer.read()) == (status, body), asked
            assert ("Content-Range" in answer.headers) == (status != 200)


async def test_point_53_what_is_not_what_it_says_is_refused(http, running):
    upload = running.mutation("files:upload")
    other = f"sha-256={b64encode(sha256(b'other').digest()).decode()}"
    async with http.post(upload, data=CONTENT, headers={"Digest": other}) as answer:
        assert (answer.status, (await answer.json())["code"]) == (400, "Sha256Mismatch")
    for url, status, code in (
        (f"{upload[:-3]}abc", 401, "StorageTokenInvalid"),
        (f"{upload.partition('?')[0]}", 401, "StorageTokenInvalid"),
    ):
        async with http.post(url, data=CONTENT) as answer:
            assert (answer.status, (await answer.json())["code"]) == (status, code)
    storage = upload.partition("upload")[0]
    for name, status, code in (
        ("no-uuid", 400, "InvalidStoragePath"),
        ("0f5c0000-0000-4000-8000-000000000001", 404, "FileNotFound"),
    ):
        async with http.get(storage + name) as answer:
            assert (answer.status, (await answer.json())["code"]) == (status, code)
