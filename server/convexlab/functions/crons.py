"""Crons: not in this release; the name is there to say so."""

from __future__ import annotations

from typing import NoReturn

from convexlab.errors import NotAllowed


def cron_jobs() -> NoReturn:
    """The table of functions that run by the clock."""
    raise NotAllowed(
        "`cron_jobs` is not in this release: leave the module `crons` out."
    )
