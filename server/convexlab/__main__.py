"""`python -m convexlab`: the same as the `convexlab` command."""

from __future__ import annotations

from convexlab.cli.main import main

if __name__ == "__main__":
    main()
