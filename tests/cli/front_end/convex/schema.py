"""Tables with a field of every kind."""

from __future__ import annotations

from convexlab import define_schema, define_table, v

schema = define_schema(
    {
        "users": define_table({"name": v.string(), "photo": v.optional(v.bytes())}),
        "posts": define_table(
            {
                "author": v.id("users"),
                "title": v.string(),
                "views": v.int64(),
                "state": v.union(v.literal("draft"), v.literal("out"), v.null()),
                "place": v.optional(
                    v.object(
                        {"at": v.array(v.number()), "name": v.optional(v.string())}
                    )
                ),
                "votes": v.record(v.id("users"), v.boolean()),
                "more": v.any(),
            }
        )
        .index("by_author", ["author", "state"])
        .index("by_place", ["place.name"])
        .search_index("title", search_field="title", filter_fields=["author"])
        .vector_index("near", vector_field="place.at", dimensions=3),
        "events": define_table(
            v.union(
                v.object({"kind": v.literal("text"), "text": v.string()}),
                v.object({"kind": v.literal("blob"), "blob": v.bytes()}),
            )
        ).index("by_kind", ["kind"]),
    }
)
