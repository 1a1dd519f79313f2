"""What users write, and what runs it.

Reading order: definition (what `@query` makes, and references) · arguments
(annotations as validators) · http (routes) · determinism (time and chance of a
run) · tracebacks · modules (source text to functions; what a push asks) ·
identity · execution (what nested calls share) · filters, ranges, cursors, query
(`ctx.db.query`) · database (`ctx.db`) · context (`ctx`) · runner (one call) ·
cache (results kept) · processes (where all of it runs).
"""
