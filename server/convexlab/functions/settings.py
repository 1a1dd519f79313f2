"""Settings: what a deployment knows of itself, kept as documents of `_settings`.

cloudUrl, siteUrl                     where it answered when it was last opened
canonicalCloudUrl, canonicalSiteUrl   where its owner says that it is reached
authConfig                            what the last push made of the module, as JSON
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

from convexlab.documents.ids import encode_id
from convexlab.documents.ordering import encode_key
from convexlab.engine.interval import Interval
from convexlab.engine.system_tables import SETTINGS, SETTINGS_BY_NAME

if TYPE_CHECKING:
    from collections.abc import Mapping

    from convexlab.documents.value import Value
    from convexlab.engine.snapshot import Snapshot
    from convexlab.engine.transaction import Transaction
    from convexlab.engine.write_set import Revision

CLOUD_URL: Final = "cloudUrl"
SITE_URL: Final = "siteUrl"
AUTH_CONFIG: Final = "authConfig"
# Where the owner's word for an address is.
CANONICAL: Final = {CLOUD_URL: "canonicalCloudUrl", SITE_URL: "canonicalSiteUrl"}


def setting(tx: Transaction, name: str) -> Value:
    """A setting; None if it was never set. That it was looked at is recorded."""
    tx.read_set.record(SETTINGS_BY_NAME, _place(name))
    return stored(tx, name)


def stored(rows: Snapshot | Transaction, name: str) -> Value:
    """A setting as a snapshot has it; None if it was never set."""
    found = _find(rows, name)
    return None if found is None else found.document["value"]


def address(tx: Transaction, name: str) -> Value:
    """Where the deployment, or its site, is reached; the owner's word comes first."""
    return setting(tx, CANONICAL[name]) or setting(tx, name)


def set_settings(tx: Transaction, values: Mapping[str, Any]) -> None:
    """Set some; None takes one away. What is so already is not written."""
    with tx.as_system():
        for name, value in values.items():
            found = _find(tx, name)
            if found is None:
                if value is not None:
                    tx.insert("_settings", {"name": name, "value": value})
            elif value is None:
                tx.delete(encode_id(SETTINGS, found.id))
            else:
                tx.patch(encode_id(SETTINGS, found.id), {"value": value})


def _find(rows: Snapshot | Transaction, name: str) -> Revision | None:
    for _, revision in rows.rows(SETTINGS_BY_NAME, _place(name)):
        return revision
    return None


def _place(name: str) -> Interval:
    return Interval.prefix(encode_key(name))
