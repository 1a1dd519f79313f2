"""Files kept in an object store instead of in the folder."""

from __future__ import annotations

from typing import TYPE_CHECKING

import boto3
import httpx
import pytest
from moto.server import ThreadedMotoServer
from tests.deployments import deployment
from tests.journeys.test_files import MODULE

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

web = httpx.Client(verify=False, timeout=60)


@pytest.fixture
def bucket(monkeypatch: pytest.MonkeyPatch) -> Iterator[str]:
    """A bucket of an S3 of this machine's."""
    server = ThreadedMotoServer(ip_address="127.0.0.1", port=0)
    server.start()
    host, port = server.get_host_and_port()
    monkeypatch.setenv("AWS_ENDPOINT_URL", f"http://{host}:{port}")
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", "nobody")
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "nothing")
    monkeypatch.setenv("AWS_DEFAULT_REGION", "us-east-1")
    boto3.client("s3").create_bucket(Bucket="files")
    yield "files"
    server.stop()


def names(bucket: str) -> list[str]:
    found = boto3.client("s3").list_objects_v2(Bucket=bucket)
    return [each["Key"] for each in found.get("Contents", [])]


def test_files_live_in_a_bucket(tmp_path: Path, bucket: str):
    address = f"s3://{bucket}/mine"
    with deployment(tmp_path / "one", {"m": MODULE}, "--files", address) as running:
        data = bytes(range(256)) * 40_000
        url = running.mutation("m:upload_url")
        stored = web.post(url, content=data).json()["storageId"]
        served = running.query("m:url", id=stored)
        assert web.get(served).content == data
        assert web.get(served, headers={"Range": "bytes=-3"}).content == data[-3:]
        copied, _, _ = running.call("action", "m:copy", id=stored, type="x/y")["value"]
        assert web.get(running.query("m:url", id=copied)).content == data[::-1]
        assert len(names(bucket)) == 2
        assert all(name.startswith("mine/") for name in names(bucket))
        assert not (running.folder / "files").exists()
