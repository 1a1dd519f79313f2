"""An address can be read by whoever has it, and made by nobody else."""

from __future__ import annotations

from uuid import UUID

import pytest
from hypothesis import given, strategies as st

from convexlab.documents.ids import encode_id
from convexlab.engine.system_tables import STORAGE
from convexlab.errors import (
    InvalidStoragePath,
    StorageTokenExpired,
    StorageTokenInvalid,
)
from convexlab.functions.file_addresses import FileAddresses

HOUR = 3_600_000
addresses = FileAddresses(b"s" * 32, lambda: "http://here:1/c/x")
others = FileAddresses(b"t" * 32, lambda: "http://there")


def name_of(url: str) -> str:
    return url.rpartition("/")[2]


@given(st.binary(min_size=16, max_size=16))
def test_an_address_stands_for_its_file_and_tells_nothing_of_it(internal_id: bytes):
    url = addresses.of_file(internal_id)
    assert url.startswith("http://here:1/c/x/api/storage/")
    assert UUID(name_of(url)).bytes != internal_id
    assert addresses.id_of(name_of(url)) == encode_id(STORAGE, internal_id)
    assert others.id_of(name_of(url)) != encode_id(STORAGE, internal_id)


@pytest.mark.parametrize("name", ["", "x", "kg2abc", "../../etc/passwd", "0" * 31])
def test_what_is_no_uuid_is_no_address(name: str):
    with pytest.raises(InvalidStoragePath, match="Invalid storage path"):
        addresses.id_of(name)


def token_of(url: str) -> str:
    return url.rpartition("token=")[2]


def test_an_upload_url_holds_for_an_hour():
    token = token_of(addresses.of_upload(1000.0))
    addresses.check_token(token, 1000.0)
    addresses.check_token(token, 1000.0 + HOUR)
    with pytest.raises(StorageTokenExpired, match="hold for an hour"):
        addresses.check_token(token, 1001.0 + HOUR)


@given(st.text(max_size=50) | st.binary(max_size=40).map(lambda b: b.hex()))
def test_nobody_makes_one_up(token: str):
    with pytest.raises(StorageTokenInvalid, match="not of this deployment"):
        addresses.check_token(token, 0.0)


@given(st.integers(0, 31), st.sampled_from("AbC9-_"))
def test_nor_changes_one(place: int, letter: str):
    token = token_of(addresses.of_upload(1000.0))
    changed = token[:place] + letter + token[place + 1 :]
    if changed != token:
        with pytest.raises(StorageTokenInvalid):
            addresses.check_token(changed, 1000.0)
    with pytest.raises(StorageTokenInvalid):
        others.check_token(token, 1000.0)
