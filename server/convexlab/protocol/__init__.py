"""What crosses the wire.

Read `versions.py` (where a client stands) and then `messages.py` (all that it says
and is told).
"""
