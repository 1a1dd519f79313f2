"""Benchmarks: each a question, answered beside a reference measured in the same run.

    python -m tests.benchmarks [NAME …] [--smoke] [--seconds N] [--dir FOLDER]

Read `figures` (what is printed), `deployments` (a real deployment in a folder that
goes away) and `wire` (the least HTTP and WebSocket that measures a server and not
its client), then any `bench_*`.
"""
