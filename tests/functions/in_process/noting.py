"""Functions that note what they were called with, and a look at what they noted."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from convexlab.testing import Deployment

START = datetime(2026, 3, 28, 12, tzinfo=UTC)  # clocks are changed the next night

FUNCTIONS = """
    import asyncio
    import threading
    import time
    from datetime import timedelta

    from convexlab import *

    @mutation
    def later(ctx, what: str, minutes: float, path: str = "m:note"):
        return ctx.scheduler.run_after(timedelta(minutes=minutes), path, what=what)

    @mutation
    def cancel(ctx, id): ctx.scheduler.cancel(id)

    @internal_mutation
    def note(ctx, what: str):
        print("noting", what)
        ctx.db.insert("notes", {"what": what, "at": ctx.now()})

    @internal_mutation
    def keep_request(ctx, what: str):
        ctx.db.insert("requests", ctx.meta.get_request_metadata())

    @action
    def keeps_requests(ctx, what: str):
        ctx.run_mutation(keep_request, what=what)

    @internal_mutation
    def again(ctx, what: str):
        note.handler(ctx, what)
        ctx.scheduler.run_after(60_000, again, what=what)

    @internal_mutation
    def fails(ctx, what: str):
        note.handler(ctx, what)
        raise ValueError(what)

    @action
    async def fetch(ctx, what: str):
        await asyncio.gather(
            ctx.run_mutation(note, what=what), ctx.run_mutation(note, what=what + "!")
        )
        await ctx.scheduler.run_after(60_000, note, what=f"after {what}")
        return await ctx.now()

    @action
    def plain(ctx, what: str):
        threading.Thread(target=lambda: ctx.run_mutation(note, what=what)).start()
        ctx.scheduler.cancel(ctx.scheduler.run_after(1, note, what="never"))
        return ctx.run_action(fetch, what=f"by {what}")

    @action
    async def breaks(ctx, what: str):
        raise ValueError(what)

    @query
    def crons(ctx):
        return {cron["name"]: cron for cron in ctx.db.system.query("_cron_jobs").collect()}

    @query
    def entries(ctx): return ctx.db.system.query("_scheduled_functions").collect()
"""


def notes(t: Deployment) -> list[str]:
    return [note["what"] for note in t.table("notes")]


def states(t: Deployment) -> list[str]:
    return [entry["state"]["kind"] for entry in t.query("m:entries")]
