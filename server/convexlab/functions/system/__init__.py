"""The system's own functions, written as users write theirs; for the admin key only.

`cli/tableData.py` is `_system/cli/tableData`: the names are the official
command line's. They are read as text and loaded like any module.
"""
