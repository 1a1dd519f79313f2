"""`ctx.storage` in queries and mutations: files by their ids, with the transaction."""

from __future__ import annotations

import base64
import hashlib
import re
from typing import TYPE_CHECKING
from uuid import UUID

import pytest
from tests.functions.lab import lab_of

from convexlab.functions import file_documents

if TYPE_CHECKING:
    from tests.functions.lab import Lab

DIGEST = hashlib.sha256(b"x").digest()
MODULE = """
@query
def url(ctx, id): return ctx.storage.get_url(id)
@query
def metadata(ctx, id): return ctx.storage.get_metadata(id)
@query
def system(ctx): return ctx.db.system.query("_storage").collect()
@mutation
def upload_url(ctx): return ctx.storage.generate_upload_url()
@mutation
def delete(ctx, id): ctx.storage.delete(id)
@mutation
def delete_and_fail(ctx, id):
    ctx.storage.delete(id)
    assert ctx.storage.get_url(id) is None
    raise ConvexError("no")
@query
def delete_in_query(ctx, id): ctx.storage.delete(id)
@query
def upload_url_in_query(ctx): ctx.storage.generate_upload_url()
@mutation
def store(ctx): ctx.storage.store(b"x")
@query
def get(ctx, id): ctx.storage.get(id)
@query
def nonsense(ctx): ctx.storage.nonsense()
@mutation
def other_table(ctx): ctx.storage.get_url(ctx.db.insert("notes", {}))
"""


@pytest.fixture
def lab() -> Lab:
    return lab_of(MODULE)


@pytest.fixture
def stored(lab: Lab) -> str:
    return add(lab, "text/plain")


def add(lab: Lab, content_type: str | None) -> str:
    ids: list[str] = []
    lab.system(lambda tx: ids.append(file_documents.add(tx, DIGEST, 1, content_type)))
    return ids[0]


def test_a_file_has_an_address_and_metadata(lab: Lab, stored: str):
    url = lab.query("m:url", id=stored)
    assert url.startswith("http://localhost/api/storage/")
    assert str(UUID(url.rpartition("/")[2])) == url.rpartition("/")[2]
    assert lab.query("m:metadata", id=stored) == {
        "storageId": stored,
        "sha256": DIGEST.hex(),
        "size": 1.0,
        "contentType": "text/plain",
    }


def test_its_document_says_what_is_known_of_it(lab: Lab):
    stored = add(lab, None)
    (document,) = lab.query("m:system")
    assert document.pop("_creationTime") > 0
    assert document == {
        "_id": stored,
        "sha256": base64.b64encode(DIGEST).decode(),
        "size": 1.0,
    }


def test_a_deleted_file_has_neither(lab: Lab, stored: str):
    lab.mutation("m:delete", id=stored)
    assert lab.query("m:url", id=stored) is None
    assert lab.query("m:metadata", id=stored) is None
    assert "storage id" in lab.mutation_error("m:delete", id=stored).message


def test_a_deletion_goes_with_its_transaction(lab: Lab, stored: str):
    lab.mutation_error("m:delete_and_fail", id=stored)
    assert lab.query("m:url", id=stored) is not None


def test_upload_urls_are_signed(lab: Lab):
    url = lab.mutation("m:upload_url")
    assert url.startswith("http://localhost/api/storage/upload?token=")


@pytest.mark.parametrize(
    ("call", "kind", "message"),
    [
        ("delete_in_query", "query", "queries only read. Make the function a mutation"),
        ("upload_url_in_query", "query", "queries only read"),
        ("store", "mutation", "only actions read and write a file's bytes"),
        ("get", "query", "`get_url` gives its address"),
        ("nonsense", "query", "`ctx.storage` has no `nonsense`"),
        ("other_table", "mutation", 'takes an Id<"_storage">, and .* another table'),
    ],
)
def test_what_is_not_here_says_where_it_is(
    lab: Lab, stored: str, call: str, kind: str, message: str
):
    args = {"id": stored} if call in ("delete_in_query", "get") else {}
    fail = lab.query_error if kind == "query" else lab.mutation_error
    assert re.search(message, fail(f"m:{call}", **args).message)


@pytest.mark.parametrize("given", [5, None, "nonsense"])
def test_what_is_no_id_is_refused(lab: Lab, given: object):
    assert "`ctx.storage.get_url`" in lab.query_error("m:url", id=given).message
