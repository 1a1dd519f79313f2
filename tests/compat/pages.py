"""The guide's pages about clients, and the files that a reader copies from them.

A code block whose first line is a comment with a path is that file:

    // src/App.tsx      # convex/tasks.py      <!-- index.html -->
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from pathlib import Path

ROOT = Path(__file__).parents[2]
GUIDE = ROOT / "docs" / "guide" / "clients"
# What the pages say, and the tests put others in their place.
CONVEX_URL = "http://127.0.0.1:3210"
SIGN_IN_URL = "http://127.0.0.1:8300"

_BLOCK = re.compile(r"^```\w+[^\n]*\n(.*?)^```", re.MULTILINE | re.DOTALL)
_NAME = re.compile(r"(?://|#|<!--) (?P<path>[\w./-]*\.[\w.]+)(?: -->)?\n")


@dataclass(frozen=True)
class Addresses:
    """Where a deployment and the server that signs people in really are."""

    convex: str = CONVEX_URL
    sign_in: str = SIGN_IN_URL

    def written_into(self, text: str) -> str:
        """A text of the guide, with these addresses."""
        return text.replace(CONVEX_URL, self.convex).replace(SIGN_IN_URL, self.sign_in)


def files_of(page: str) -> dict[str, str]:
    """The files on a page (`react` for `react.md`): path and text."""
    text = (GUIDE / f"{page}.md").read_text(encoding="utf-8")
    files: dict[str, str] = {}
    for block in _BLOCK.findall(text):
        named = _NAME.match(block)
        if named is not None:
            assert named["path"] not in files, f"{page}: {named['path']} is there twice"
            files[named["path"]] = block
    return files


def write(files: dict[str, str], folder: Path, addresses: Addresses) -> None:
    """Copy files to a folder, as a reader would."""
    for path, text in files.items():
        file = folder / path
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text(addresses.written_into(text), encoding="utf-8")
