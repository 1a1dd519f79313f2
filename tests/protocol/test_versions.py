"""Timestamps and client names cross the wire as official clients write them."""

from __future__ import annotations

import hypothesis.strategies as st
import pytest
from hypothesis import given

from convexlab.errors import RemoteProtocolError
from convexlab.protocol.versions import (
    MAX_TIMESTAMP,
    ClientVersion,
    StateVersion,
    client_from_header,
    client_from_path,
    decode_ts,
    encode_ts,
)


def test_timestamps_are_little_endian():
    assert encode_ts(0) == "AAAAAAAAAAA="
    assert encode_ts(1_700_000_000_000_000_000) == "AAAqNv6clxc="


@given(st.integers(0, MAX_TIMESTAMP))
def test_a_timestamp_comes_back(ts):
    assert decode_ts(encode_ts(ts)) == ts
    assert len(encode_ts(ts)) == 12


@pytest.mark.parametrize(
    "text", ["", "AAAA", "AAAAAAAAAAA", "not base64!!", "AAAAAAAAAAAAAAA="]
)
def test_what_is_no_timestamp_is_refused(text):
    with pytest.raises(RemoteProtocolError, match="timestamp"):
        decode_ts(text)


def test_versions_reach_each_other_in_every_part():
    here = StateVersion(1, 1, 5)
    assert here.reaches(here)
    assert StateVersion(2, 1, 5).reaches(here)
    assert not StateVersion(2, 0, 6).reaches(here)


@pytest.mark.parametrize("version", ["1.48.0", "1.49.0-alpha.2"])
def test_the_path_names_npms_client(version):
    assert client_from_path(version) == ClientVersion("npm", version)


@pytest.mark.parametrize("version", ["", "1", "x.y.z", "1.2.3/4"])
def test_a_path_without_a_version_is_refused(version):
    with pytest.raises(RemoteProtocolError):
        client_from_path(version)


@pytest.mark.parametrize(
    ("header", "name", "version"),
    [
        ("npm-1.48.0", "npm", "1.48.0"),
        ("npm-cli-1.48.0", "npm-cli", "1.48.0"),
        ("python-0.8.1", "python", "0.8.1"),
        ("npm-1.49.0-alpha.2", "npm", "1.49.0-alpha.2"),
    ],
)
def test_the_header_names_the_client(header, name, version):
    assert client_from_header(header) == ClientVersion(name, version)


def test_no_header_is_nobody_in_particular():
    assert client_from_header(None) == ClientVersion()
    with pytest.raises(RemoteProtocolError, match="Convex-Client"):
        client_from_header("npm")


@pytest.mark.parametrize(
    ("client", "takes"),
    [
        (ClientVersion("npm", "1.48.0"), True),
        (ClientVersion("npm", "1.28.0"), True),
        (ClientVersion("npm", "1.28.0-alpha.1"), True),
        (ClientVersion("npm", "1.27.9"), False),
        (ClientVersion("npm", "0.99.0"), False),
        (ClientVersion("python", "0.8.1"), False),
        (ClientVersion("rust", "1.30.0"), False),
        (ClientVersion(), False),
    ],
)
def test_only_newer_npm_clients_take_chunks(client, takes):
    assert client.takes_chunks is takes


@pytest.mark.parametrize(
    ("header", "encoded"),
    [
        ("npm-1.4.0", True),
        ("npm-cli-1.4.0", True),
        ("actions-1.0.0", True),
        ("npm-1.4.1", False),
        ("npm-1.48.0", False),
        ("python-0.4.9", True),
        ("python-0.5.0", False),
        ("rust-0.1.0", False),
        (None, False),
    ],
)
def test_only_old_clients_take_values_for_encoded_unasked(header, encoded):
    assert client_from_header(header).expects_encoded is encoded
