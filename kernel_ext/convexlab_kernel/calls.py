"""Calls: functions run in the deployment, their logs and failures brought here."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING, Any, Final

import msgspec

from convexlab.documents.encoding import from_stored
from convexlab.errors import NotFound
from convexlab.protocol.versions import encode_ts
from convexlab_kernel.failures import Envelope, failed
from convexlab_kernel.meant import kind_instead, near_path
from convexlab_kernel.results import presented
from convexlab_kernel.status import Status

if TYPE_CHECKING:
    from convexlab_kernel.attachment import Attachment

STATUS: Final = "/api/convexlab/status"


class Calls:
    """Calls to one deployment.

    Args:
        attachment: to it.
    """

    def __init__(self, attachment: Attachment) -> None:
        self._attachment = attachment

    def run(
        self, endpoint: str, path: str, arguments: bytes, *, ts: int | None = None
    ) -> Any:
        """Run a function and return its value; what it prints is printed here.

        Args:
            endpoint: which asks for its kind: `/api/query`.
            path: the function's.
            arguments: as stored JSON.
            ts: as of when, for a query; None: now.

        Raises:
            ConvexlabError: how it failed, with what to write where its name is wrong.
        """
        body: dict[str, Any] = {
            "path": path,
            "args": msgspec.Raw(arguments),
            "format": "stored_json",
        }
        if ts is not None:
            body["ts"] = encode_ts(ts)
        answer = msgspec.json.decode(
            self._attachment.post(endpoint, msgspec.json.encode(body)), type=Envelope
        )
        for line in answer.log_lines:
            print(f"{path} {line}")  # noqa: T201 - a function's log belongs to its caller
        if answer.status != "success":
            error = failed(
                answer.error_message, data=answer.error_data, code=answer.error_code
            )
            raise self._pointed(path, error)
        # N.B. what is answered now is of now, to within the answer's own way.
        as_of = time.time() * 1e3 if ts is None else ts / 1e6
        return presented(from_stored(bytes(answer.value)), as_of=as_of)

    def _pointed(self, path: str, error: Exception) -> Exception:
        """With what to write, where the function's name or kind is at fault."""
        text = str(error)
        if kind := kind_instead(path, text):
            error.add_note(f"It is run by db.{kind}({path!r}, …).")
        elif text.startswith(f"Could not find function for '{path}") and (
            self._attachment.admin
        ):
            return self._named(path, error)
        return error

    def _named(self, path: str, error: Exception) -> Exception:
        """With the name that is meant, which may be a table's."""
        status = self._attachment.get(STATUS, Status)
        if ":" not in path and any(table.name == path for table in status.tables):
            return NotFound(
                f"`{path}` is a table, not a function: db.table({path!r}) reads its documents."
            )
        near = near_path(path, status.function_paths())
        # What is there by that name now was not there then.
        if near and near != path:
            error.add_note(f"Is `{near}` meant?")
        return error
