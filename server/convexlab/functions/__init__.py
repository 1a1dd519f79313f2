"""What users write, and what runs it.

Reading order: definition (what `@query` makes, and references) · annotations, then
arguments (what a function takes) · http, crons (declared) · run_log, determinism,
refusals, environment, replacements (time, chance and the world during a run) ·
tracebacks · syntax, then loaded, modules (source text to functions) · function_spec,
push_checks (what a push asks) · identity · execution (what nested calls share) ·
filters, ranges, plan, cursors, pages, query (`ctx.db.query`) · by_id, database
(`ctx.db`) · scheduled, scheduler (`ctx.scheduler`) · context (`ctx`) · runner (one
call) ·
schedules, cron_runs, timetable (what is due, and its running) · variables (the
environment, kept) · system_mutations · cache (results kept) · processes (where all
of it runs) · in_process (the same in one process, for tests).
"""
