"""What follows the log.

`subscriptions.py` finds what a commit touches.
"""
