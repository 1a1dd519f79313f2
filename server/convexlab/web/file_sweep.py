"""The sweep: bytes that no file refers to any more leave the disk.

A deleted file's bytes may be another file's too, and bytes are there before their
document is; so they are looked at only when nobody has stored them for a while, and
each is asked about.
"""

from __future__ import annotations

import asyncio
import logging
from base64 import b64encode
from itertools import islice
from typing import TYPE_CHECKING

import msgspec

from convexlab import knobs
from convexlab.errors import ConvexlabError, InternalError
from convexlab.functions.system_queries import UNREFERENCED
from convexlab.web.storage import SYSTEM

if TYPE_CHECKING:
    from convexlab.engine.files import Files
    from convexlab.sync.gateway import Gateway

_log = logging.getLogger(__name__)


async def sweep_for_ever(gateway: Gateway, files: Files) -> None:
    """Sweep now and then, for as long as the deployment is open."""
    while True:
        try:
            await sweep(gateway, files)
        except (ConvexlabError, OSError):
            _log.exception("files could not be swept")
        await asyncio.sleep(knobs.FILE_SWEEP_SECONDS)


async def sweep(gateway: Gateway, files: Files) -> int:
    """Delete what is nobody's.

    Returns:
        How many files' bytes went.
    """
    names = files.names(older_than_seconds=knobs.FILE_GRACE_SECONDS)
    gone = 0
    while some := await asyncio.to_thread(
        lambda: list(islice(names, knobs.FILE_SWEEP_FILES))
    ):
        for digest in await _unreferenced(gateway, some):
            await asyncio.to_thread(files.delete, digest)
            gone += 1
    return gone


async def _unreferenced(gateway: Gateway, digests: list[bytes]) -> list[bytes]:
    by_text = {b64encode(digest).decode(): digest for digest in digests}
    args = msgspec.json.encode({"digests": list(by_text)})
    found = await gateway.query(UNREFERENCED, args, SYSTEM, stored=True)
    if found.value is None:
        raise InternalError(f"which files are whose cannot be told: {found.error}")
    return [by_text[text] for text in msgspec.json.decode(found.value, type=list[str])]
