"""What follows the log.

Reading order: subscriptions (what a commit touches) · follower (the contract of a
derived index) · runs (what it is given at a time) · following (what keeps one
current) · keeper (holds them all) · schema_indexes (what vector and text have in common).
"""
