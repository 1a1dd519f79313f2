"""Every limit, timeout and size with a meaning, in one place: unit, default, reason.

Grouped by package, in import order. Names end in their unit. A number that
stands anywhere else has no meaning of its own.
"""

from __future__ import annotations

from typing import Final

# -- documents: Convex's documented limits ------------------------------------

MAX_DOCUMENT_BYTES: Final = 1 << 20
MAX_VALUE_BYTES: Final = 16 << 20
MAX_DOCUMENT_NESTING: Final = 16
MAX_VALUE_NESTING: Final = 64
MAX_ARRAY_LENGTH: Final = 8192
MAX_OBJECT_FIELDS: Final = 1024
MAX_FIELD_NAME_BYTES: Final = 1024
MAX_IDENTIFIER_CHARS: Final = 64
MAX_INDEX_FIELDS: Final = 15
MAX_INDEXES_PER_TABLE: Final = 64

# -- engine: per-transaction limits as Convex documents them -------------------

MAX_DOCUMENTS_READ: Final = 32_000
MAX_BYTES_READ: Final = 16 << 20
MAX_READ_INTERVALS: Final = 4096
MAX_WRITES: Final = 16_000
MAX_BYTES_WRITTEN: Final = 16 << 20
MAX_NESTED_CALLS: Final = 8

# The log and history that the protocol needs: a client that was away for less
# than this finds its timestamp again.
PROTOCOL_RETENTION_SECONDS: Final = 4 * 60
HISTORY_RETENTION_SECONDS: Final = 7 * 24 * 3600
# Convex keeps a session's mutation outcomes as long; npm clients replay by them.
SESSION_RECORD_SECONDS: Final = 14 * 24 * 3600

# -- functions ----------------------------------------------------------------

# The user's own time in a query or mutation, store operations left out.
FUNCTION_USER_SECONDS: Final = 1.0
# Store operations included.
FUNCTION_SYSTEM_SECONDS: Final = 15.0
READERS: Final = 2
# A query known to take longer has its own lane, so that it delays only itself.
SLOW_QUERY_SECONDS: Final = 0.050
MAX_LOG_LINES: Final = 256
MAX_LOG_LINE_BYTES: Final = 32 << 10
