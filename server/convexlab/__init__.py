"""convexlab: a reactive document database whose functions are Python and whose home is Jupyter.

This module exports the names that users import, each loaded when it is first
asked for, so that a notebook's kernel loads neither the server nor the store.

    documents    what is stored: values, ids, order, validators, schemas
    engine       how it is committed: snapshots, transactions, the committer, the store
    followers    what follows the log of commits
    functions    what users write, and what runs it
    protocol     what crosses the wire
    sync         how a client stays current
    auth, web    who is asking, and how it is reached
    deployment   where the parts meet
    testing      a deployment in a test's own process

Each package uses those above it and none below.
"""

from __future__ import annotations

import sys
from importlib import import_module
from typing import TYPE_CHECKING, Any, Final

if TYPE_CHECKING:
    from convexlab.documents.schema import define_schema, define_table
    from convexlab.documents.v import as_object_validator, v
    from convexlab.documents.value import (
        UNDEFINED,
        Int64,
        from_ms,
        get_convex_size,
        get_document_size,
        to_ms,
    )
    from convexlab.errors import ConvexError, FunctionFailed
    from convexlab.extension import _jupyter_server_extension_points
    from convexlab.functions import table_ids as Id  # noqa: N812 - to type checkers, a module of types
    from convexlab.functions.action_context import ActionCtx, SyncActionCtx
    from convexlab.functions.aggregates import avg, count, max_, min_, sum_
    from convexlab.functions.annotation_names import (
        Doc,
        PaginationOpts,
        PaginationResult,
    )
    from convexlab.functions.annotations import pagination_opts, pagination_result
    from convexlab.functions.context import MutationCtx, QueryCtx
    from convexlab.functions.crons import cron_jobs
    from convexlab.functions.definition import (
        action,
        api,
        get_function_name,
        http_action,
        internal,
        internal_action,
        internal_mutation,
        internal_query,
        make_function_reference,
        mutation,
        query,
    )
    from convexlab.functions.forms import UploadedFile
    from convexlab.functions.http import Response, http_router
    from convexlab.functions.http_request import Request, SyncRequest
    from convexlab_kernel.client import connect
    from convexlab_kernel.controls import (
        FileUpload,
        LiveGrid,
        MutationButton,
        MutationForm,
        Paginated,
    )
    from convexlab_kernel.magics import (
        load_ipython_extension,
        unload_ipython_extension,
    )
    from convexlab_kernel.searching import SearchBox

__version__ = "0.1.0"

__all__ = [
    "UNDEFINED",
    "ActionCtx",
    "ConvexError",
    "Doc",
    "FileUpload",
    "FunctionFailed",
    "Id",
    "Int64",
    "LiveGrid",
    "MutationButton",
    "MutationCtx",
    "MutationForm",
    "Paginated",
    "PaginationOpts",
    "PaginationResult",
    "QueryCtx",
    "Request",
    "Response",
    "SearchBox",
    "SyncActionCtx",
    "SyncRequest",
    "UploadedFile",
    "_jupyter_server_extension_points",
    "action",
    "api",
    "as_object_validator",
    "avg",
    "connect",
    "count",
    "cron_jobs",
    "define_schema",
    "define_table",
    "embed",
    "from_ms",
    "get_convex_size",
    "get_document_size",
    "get_function_name",
    "http_action",
    "http_router",
    "internal",
    "internal_action",
    "internal_mutation",
    "internal_query",
    "load_ipython_extension",
    "make_function_reference",
    "max_",
    "min_",
    "mutation",
    "pagination_opts",
    "pagination_result",
    "query",
    "sum_",
    "to_ms",
    "unload_ipython_extension",
    "v",
]

_HOMES: Final[dict[str, tuple[str, ...]]] = {
    "convexlab.documents.schema": ("define_schema", "define_table"),
    "convexlab.documents.v": ("as_object_validator",),
    "convexlab.documents.value": (
        "UNDEFINED",
        "Int64",
        "from_ms",
        "get_convex_size",
        "get_document_size",
        "to_ms",
    ),
    "convexlab.errors": ("ConvexError", "FunctionFailed"),
    "convexlab.extension": (
        "_jupyter_labextension_paths",
        "_jupyter_server_extension_points",
    ),
    # N.B. `v` comes by way of annotations, which teaches it to read annotations.
    "convexlab.functions.annotations": ("pagination_opts", "pagination_result", "v"),
    "convexlab.functions.annotation_names": (
        "Doc",
        "Id",
        "PaginationOpts",
        "PaginationResult",
    ),
    "convexlab.functions.action_context": ("ActionCtx", "SyncActionCtx"),
    "convexlab.functions.context": ("MutationCtx", "QueryCtx"),
    "convexlab.functions.definition": (
        "action",
        "api",
        "get_function_name",
        "http_action",
        "internal",
        "internal_action",
        "internal_mutation",
        "internal_query",
        "make_function_reference",
        "mutation",
        "query",
    ),
    "convexlab.functions.crons": ("cron_jobs",),
    "convexlab.functions.embedding_model": ("embed",),
    "convexlab.functions.forms": ("UploadedFile",),
    "convexlab.functions.http": ("Response", "http_router"),
    "convexlab.functions.http_request": ("Request", "SyncRequest"),
    "convexlab.functions.aggregates": ("avg", "count", "max_", "min_", "sum_"),
    "convexlab_kernel.client": ("connect",),
    "convexlab_kernel.controls": (
        "FileUpload",
        "LiveGrid",
        "MutationButton",
        "MutationForm",
        "Paginated",
    ),
    "convexlab_kernel.magics": (
        "load_ipython_extension",
        "unload_ipython_extension",
    ),
    "convexlab_kernel.searching": ("SearchBox",),
}
_HOME: Final = {name: home for home, names in _HOMES.items() for name in names}


def __getattr__(name: str) -> Any:
    home = _HOME.get(name)
    if home is None:
        text = f"module 'convexlab' has no attribute {name!r}"
        raise AttributeError(text, name=name, obj=sys.modules[__name__])
    value = getattr(import_module(home), name)
    globals()[name] = value
    return value


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})
