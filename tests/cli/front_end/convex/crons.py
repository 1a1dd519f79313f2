"""Nor is what runs by itself."""

from __future__ import annotations

from convexlab import cron_jobs, internal

crons = cron_jobs()
crons.interval("sweep", hours=1, function=internal.posts.sweep, args={"before": 0})
