"""Entries as clients get them: Convex's JSON, with lines in parts or as they are.

What an action printed while it ran went ahead of its completion, so whoever is told of
progress gets only the rest with it; whoever is told of completions alone gets all.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

from convexlab.functions.logs.entries import Completion

if TYPE_CHECKING:
    from collections.abc import Sequence

    from convexlab.functions.logs.entries import Entry, Progress

_CUT: Final = " (truncated due to length)"
# What Convex measures and we do not have, or not by run.
_UNMEASURED: Final = dict.fromkeys(
    (
        "databaseIoReadBytes",
        "databaseIoWriteBytes",
        "databaseWriteIndexRows",
        "storageReadBytes",
        "storageWriteBytes",
        "vectorIndexReadBytes",
        "vectorIndexWriteBytes",
        "vectorIndexReadQueryBytes",
        "vectorIndexWriteQueryBytes",
        "textIndexQueryBytes",
        "textIndexWriteQueryBytes",
        "networkEgressBytes",
        "memoryUsedMb",
    ),
    0,
)


def entry_json(
    entry: Entry, *, in_parts: bool, with_told: bool = False
) -> dict[str, Any]:
    """One entry.

    Args:
        entry: which.
        in_parts: lines as objects, else `[LOG] 'text'`.
        with_told: with the lines that went ahead of it too.
    """
    if isinstance(entry, Completion):
        return _completion(entry, in_parts=in_parts, with_told=with_told)
    return _progress(entry, in_parts=in_parts)


def _progress(entry: Progress, *, in_parts: bool) -> dict[str, Any]:
    origin, at_ms = entry.origin, entry.at_ms
    return {
        "kind": "Progress",
        "udfType": origin.run_type,
        "componentPath": None,
        "identifier": origin.identifier,
        "timestamp": at_ms / 1000,
        "logLines": _lines(entry.log_lines, at_ms, in_parts=in_parts),
        "requestId": origin.request_id,
        "executionId": origin.execution_id,
    }


def _completion(
    entry: Completion, *, in_parts: bool, with_told: bool
) -> dict[str, Any]:
    origin, at_ms = entry.origin, entry.at_ms
    lines = entry.log_lines if with_told else entry.log_lines[entry.told_lines :]
    is_answer = entry.status is not None and entry.error is None
    return {
        "kind": "Completion",
        "udfType": origin.run_type,
        "componentPath": None,
        "identifier": origin.identifier,
        "logLines": _lines(lines, at_ms, in_parts=in_parts),
        "timestamp": at_ms / 1000,
        "cachedResult": entry.is_cached,
        "executionTime": entry.seconds,
        "userExecutionTime": None,
        "success": {"status": str(entry.status)} if is_answer else None,
        "error": entry.error,
        "requestId": origin.request_id,
        "caller": entry.caller,
        "parentExecutionId": origin.parent_id or None,
        "executionId": origin.execution_id,
        "usageStats": {
            "databaseReadBytes": entry.bytes_read,
            "databaseReadDocuments": entry.documents_read,
            "databaseWriteBytes": entry.bytes_written,
            "databaseWriteDocuments": entry.documents_written,
            **_UNMEASURED,
        },
        "returnBytes": entry.return_bytes,
        "occInfo": None,  # mutations are serial: none conflicts
        "willRetry": False,
        "executionTimestamp": at_ms / 1000 - entry.seconds,
        "identityType": entry.identity,
        "environment": "python",
    }


def _lines(lines: Sequence[str], at_ms: float, *, in_parts: bool) -> list[Any]:
    return [_in_parts(line, at_ms) for line in lines] if in_parts else list(lines)


def _in_parts(line: str, at_ms: float) -> dict[str, Any]:
    level, _, text = line.removeprefix("[").partition("] ")
    return {
        "messages": [text.removesuffix(_CUT)],
        "level": level,
        "timestamp": int(at_ms),
        "isTruncated": text.endswith(_CUT),
    }
