"""What users write, as type checkers read it; never run. See `test_typing.py`."""

from __future__ import annotations

import dataclasses
from datetime import UTC, datetime, timedelta
from typing import (
    TYPE_CHECKING,
    Annotated,
    Any,
    Literal,
    NotRequired,
    TypedDict,
    assert_type,
)

import convexlab
from convexlab import (
    UNDEFINED,
    ConvexError,
    Doc,
    Id,
    Int64,
    MutationCtx,
    PaginationOpts,
    PaginationResult,
    QueryCtx,
    api,
    as_object_validator,
    count,
    define_schema,
    define_table,
    from_ms,
    get_convex_size,
    get_document_size,
    get_function_name,
    internal,
    internal_mutation,
    internal_query,
    make_function_reference,
    mutation,
    pagination_opts,
    pagination_result,
    query,
    sum_,
    to_ms,
    v,
)
from convexlab.testing import deployment

if TYPE_CHECKING:
    from collections.abc import Mapping

# -- a schema ---------------------------------------------------------------------------

schema = define_schema(
    {
        "users": define_table(
            {
                "name": v.string(),
                "email": v.optional(v.string()),
                "role": v.union(v.literal("admin"), v.literal("user")),
                "seen": v.nullable(v.number()),
                "changed": v.commit_ts(),
            }
        ).index("by_email", ["email"], unique=True),
        "messages": define_table(
            {
                "author": v.id("users"),
                "body": v.string(),
                "tags": v.array(v.string()),
                "votes": v.record(v.id("users"), v.int64()),
                "embedding": v.embedding("body", model="all-MiniLM-L6-v2"),
            }
        )
        .index("by_author", ["author"], staged=True)
        .search_index("search", search_field="body", filter_fields=["author"])
        .vector_index("near", vector_field="embedding", dimensions=384),
        "anything": define_table(v.any()),
    },
    schema_validation=True,
    strict_table_name_types=False,
)
message = schema.doc("messages")
author = as_object_validator({"author": schema.id("users")})


class Address(TypedDict):
    city: str
    zip: NotRequired[str]


@dataclasses.dataclass
class Task:
    text: str
    done: bool = False


addresses = define_table(Address)
tasks = define_table(Task)
of_annotation = v.of(list[str])

# -- functions --------------------------------------------------------------------------


@query
def by_author(ctx: QueryCtx, author: Id.users, limit: int = 50) -> list[Doc]:
    found = (
        ctx.db.query("messages")
        .with_index(
            "by_author", lambda q: q.eq("author", author).gte("_creationTime", 5)
        )
        .order("desc")
        .filter(lambda q: q.eq(q.field("body"), "hi"))
        .filter(lambda doc: (doc.body.length() > 3) & ~doc.tags.contains("spam"))
        .take(limit)
    )
    assert_type(found, list[dict[str, Any]])
    first = ctx.db.query("messages").with_index("by_author", author=author).first()
    assert_type(first, dict[str, Any] | None)
    return found


@query
def page(ctx: QueryCtx, paginationOpts: PaginationOpts) -> PaginationResult[Doc]:  # noqa: N803
    result = ctx.db.query("messages").order_by("body", "desc").paginate(paginationOpts)
    assert_type(result, PaginationResult[dict[str, Any]])
    assert_type(result["page"], list[dict[str, Any]])
    return result


@query(args={"taskId": v.id("tasks")}, returns=v.any())
def get_task(ctx: QueryCtx, taskId: str) -> dict[str, Any] | None:  # noqa: N803
    return ctx.db.get("tasks", taskId)


@query(args={"paginationOpts": pagination_opts}, returns=pagination_result(message))
def spelled_out(ctx: QueryCtx, paginationOpts: PaginationOpts) -> Any:  # noqa: N803
    return ctx.db.query("messages").paginate(num_items=5, cursor=None)


@internal_query
def total(ctx: QueryCtx) -> int:
    return ctx.db.query("messages").count()


@mutation
def send(  # noqa: PLR0917 - arguments go by name
    ctx: MutationCtx,
    author: Id.users,
    body: str,
    kind: Literal["text", "image"] = "text",
    at: float | None = None,
    tag: str = UNDEFINED,
    votes: Annotated[dict[str, Any], v.record(v.string(), v.any())] | None = None,
) -> str:
    if ctx.auth.get_user_identity() is None:
        raise ConvexError({"code": "not_signed_in"})
    sent = ctx.db.insert(
        "messages",
        {"author": author, "body": body, "kind": kind, "at": at or ctx.now()},
    )
    assert_type(sent, str)
    ctx.db.patch(sent, {"tag": tag, "old": UNDEFINED})
    ctx.db.patch("messages", sent, {"votes": votes, "changed": ctx.db.vars.commit_ts})
    ctx.db.replace(sent, {"body": body})
    ctx.db.delete("messages", sent)
    assert_type(ctx.db.normalize_id("messages", sent), str | None)
    for file in ctx.db.system.query("_storage"):
        assert_type(file, dict[str, Any])
    return sent


@mutation
def calls(ctx: MutationCtx, author: Id.users) -> None:
    sent = ctx.run_mutation(send, author, "hi", kind="text")
    assert_type(sent, str)
    again = ctx.run_mutation(
        send, {"author": author, "body": "hi"}, transaction_limits={"documentsRead": 5}
    )
    assert_type(again, str)
    assert_type(ctx.run_query(total), int)
    assert_type(ctx.run_query(total, {}, use_stale_snapshot=True), int)
    anything: Any = ctx.run_query(api.messages.by_author, author=author)
    anything = ctx.run_query("messages:by_author", {"author": author})
    anything = ctx.run_query(make_function_reference("messages:total"))
    anything = send.handler(ctx, author, anything)
    metrics = ctx.meta.get_transaction_metrics()
    assert_type(metrics["documentsRead"]["remaining"], int)
    assert_type(ctx.meta.get_function_metadata()["name"], str)
    assert_type(ctx.meta.get_deployment_metadata()["class"], str)
    assert_type(ctx.meta.get_snapshot_ts(), Int64)


@internal_mutation(name="sweepAll")
def sweep(ctx: MutationCtx, before: float) -> Int64:
    old = ctx.db.query("messages").with_index(
        "by_creation_time",
        lambda q: q.lt("_creationTime", before),
        lambda q: q.in_("_creationTime", [1.0, 2.0]),
    )
    for found in old:
        ctx.db.delete(found["_id"])
    return Int64(5) + 1


def shared(ctx: QueryCtx, who: str) -> Mapping[str, Any] | None:
    return ctx.db.query("users").with_index("by_email", email=who).unique()


aggregates = [count(), sum_("amount")]
assert_type(get_function_name(internal.messages.sweep), str)
assert_type(get_convex_size([1, 2]) + get_document_size({"a": 1}), int)
assert_type(to_ms(datetime.now(UTC)), float)
assert_type(from_ms(0.0), datetime)

# -- tests of them, and a notebook --------------------------------------------------------

t = deployment({"m": "…"}, now=datetime(2030, 1, 1, tzinfo=UTC), seed=1)
value: Any = t.query("m:list", done=False)
value = t.mutation(send, {"author": "x", "body": "y"})
value = t.as_user(subject="ann", name="Ann").query(api.m.mine)
t.advance(timedelta(hours=1))
t.advance(hours=1, minutes=5)
new_id = t.run(lambda ctx: ctx.db.insert("tasks", {"text": "x"}))
assert_type(new_id, str)
assert_type(t.table("tasks").collect(), list[dict[str, Any]])

db = convexlab.connect("demo")
value = db.query("tasks:list", done=False)
db.table("tasks").rename("todos").drop()
