"""The system's own tables: built in, so that their numbers and indexes never change.

Their documents are documents like others. Two of them have an entry for each name that
a table or an index has or could have: where whoever looks a name up records it (K2 of
`catalog`).
"""

from __future__ import annotations

from functools import lru_cache
from typing import Final

from convexlab.documents.ids import TableNumber
from convexlab.documents.ordering import encode_key
from convexlab.engine.interval import Interval
from convexlab.engine.table import IndexInfo, TableInfo, built_in_indexes
from convexlab.engine.write_set import FIRST_USER_SLOT, INDEX_SLOT_BITS

TABLES: Final = TableNumber(1001)
INDEXES: Final = TableNumber(1002)
SCHEMAS: Final = TableNumber(1003)
MODULES: Final = TableNumber(1004)
SESSIONS: Final = TableNumber(1005)
SCHEDULED_FUNCTIONS: Final = TableNumber(1006)
CRON_JOBS: Final = TableNumber(1007)
STORAGE: Final = TableNumber(1008)
ENVIRONMENT_VARIABLES: Final = TableNumber(1009)
SETTINGS: Final = TableNumber(1010)
EXPORTS: Final = TableNumber(1011)
IMPORTS: Final = TableNumber(1012)

CATALOG_TABLES: Final = frozenset({TABLES, INDEXES, SCHEMAS})

# Name → number, indexes in the order of their slots (from 2), keeps history.
_BUILT_IN: Final[
    dict[str, tuple[TableNumber, tuple[tuple[str, tuple[str, ...], bool], ...], bool]]
] = {
    "_tables": (TABLES, (("by_name", ("name",), False),), True),
    "_indexes": (INDEXES, (("by_table", ("table", "name"), False),), True),
    "_schemas": (SCHEMAS, (("by_state", ("state",), False),), True),
    "_modules": (MODULES, (("by_path", ("path",), True),), True),
    "_sessions": (SESSIONS, (("by_session", ("session",), True),), False),
    "_scheduled_functions": (
        SCHEDULED_FUNCTIONS,
        (
            ("by_state", ("state.kind", "scheduledTime"), False),
            ("by_completed_time", ("completedTime",), False),
        ),
        True,
    ),
    "_cron_jobs": (
        CRON_JOBS,
        (("by_state", ("state.kind", "nextTime"), False), ("by_name", ("name",), True)),
        True,
    ),
    "_storage": (STORAGE, (("by_sha256", ("sha256",), False),), True),
    "_environment_variables": (
        ENVIRONMENT_VARIABLES,
        (("by_name", ("name",), True),),
        False,
    ),
    "_settings": (SETTINGS, (("by_name", ("name",), True),), False),
    "_exports": (EXPORTS, (), True),
    "_imports": (IMPORTS, (), True),
}

# Those of their indexes that our own code reads, by index id.
TABLES_BY_NAME: Final = TABLES << INDEX_SLOT_BITS | FIRST_USER_SLOT
SETTINGS_BY_NAME: Final = SETTINGS << INDEX_SLOT_BITS | FIRST_USER_SLOT
ENVIRONMENT_VARIABLES_BY_NAME: Final = (
    ENVIRONMENT_VARIABLES << INDEX_SLOT_BITS | FIRST_USER_SLOT
)
INDEXES_BY_TABLE: Final = INDEXES << INDEX_SLOT_BITS | FIRST_USER_SLOT
SCHEMAS_BY_STATE: Final = SCHEMAS << INDEX_SLOT_BITS | FIRST_USER_SLOT
SCHEDULED_BY_STATE: Final = SCHEDULED_FUNCTIONS << INDEX_SLOT_BITS | FIRST_USER_SLOT
SCHEDULED_BY_COMPLETED_TIME: Final = SCHEDULED_BY_STATE + 1
CRON_JOBS_BY_STATE: Final = CRON_JOBS << INDEX_SLOT_BITS | FIRST_USER_SLOT
CRON_JOBS_BY_NAME: Final = CRON_JOBS_BY_STATE + 1


def presence_of(name: str) -> tuple[int, Interval]:
    """Where in `_tables` a table of that name is, or would be: K2."""
    return TABLES_BY_NAME, Interval.prefix(encode_key(name))


@lru_cache(maxsize=4096)
def index_presence(table: TableNumber, name: str) -> tuple[int, Interval]:
    """Where in `_indexes` an index of that name is, or would be: K2."""
    return INDEXES_BY_TABLE, Interval.prefix(encode_key(table, name))


def _built_in_table(name: str) -> TableInfo:
    number, indexes, keeps_history = _BUILT_IN[name]
    usable = built_in_indexes(number)
    for slot, (index, fields, unique) in enumerate(indexes, FIRST_USER_SLOT):
        index_id = number << INDEX_SLOT_BITS | slot
        usable[index] = IndexInfo(index_id, number, index, fields, unique)
    return TableInfo(
        name,
        number,
        b"",
        presence_of(name),
        indexes=usable,
        keeps_history=keeps_history,
    )


SYSTEM_TABLES: Final = {name: _built_in_table(name) for name in _BUILT_IN}
