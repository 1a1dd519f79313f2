"""`db.upload`: a file of this machine, streamed into the deployment's file storage."""

from __future__ import annotations

import mimetypes
from pathlib import Path
from typing import TYPE_CHECKING

import msgspec

from convexlab.errors import NotFound

if TYPE_CHECKING:
    from convexlab_kernel.attachment import Attachment

_UNKNOWN = "application/octet-stream"


class _Uploaded(msgspec.Struct):
    storageId: str  # noqa: N815 - the wire's


def upload_file(attachment: Attachment, path: Path, content_type: str | None) -> str:
    """Store a file; its storage id.

    Args:
        attachment: to the deployment.
        path: the file.
        content_type: with which it is served; None: by the file's name.

    Raises:
        NotFound: there is no such file.
        OSError: it cannot be read.
        Unavailable: the deployment has no room for it.
    """
    if not path.is_file():
        raise NotFound(f"There is no file {path} (in {Path.cwd()}).")
    kind = content_type or mimetypes.guess_type(path.name)[0] or _UNKNOWN
    with path.open("rb") as file:
        answer = attachment.post("/api/convexlab/upload", file, kind=kind)
    return msgspec.json.decode(answer, type=_Uploaded).storageId
