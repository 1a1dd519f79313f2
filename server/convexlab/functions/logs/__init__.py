"""The deployment's log: what each run of a function came to, and what it printed.

Reading order: entries (what is kept of a run) · wanted (which of them somebody asks
for) · file (where they are, bounded) · stream (the newest in memory, and who follows) ·
wire (as clients get them).
"""
