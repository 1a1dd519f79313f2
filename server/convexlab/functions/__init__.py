"""What users write, and what runs it.

Reading order: definition (what `@query` makes, and references) · annotations, then
arguments (what a function takes) · http, crons (declared) · run_log, determinism,
replacements (time, chance and the world during a run) · tracebacks · syntax, then
modules (source text to functions; what a push asks) · identity · execution (what
nested calls share) · filters, ranges, plan, cursors, pages, query
(`ctx.db.query`) · database (`ctx.db`) · context (`ctx`) · runner (one call) · cache
(results kept) · processes (where all of it runs).
"""
