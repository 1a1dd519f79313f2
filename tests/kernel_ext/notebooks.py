"""Notebooks as files, made of their cells' texts."""

from __future__ import annotations

import json


def notebook(path, *sources, tags=()):
    """Write a notebook: a text that begins with `md:` is a text cell."""
    cells = [_cell(number, source) for number, source in enumerate(sources, 1)]
    for number in tags:
        cells[number - 1]["metadata"]["tags"] = ["convexlab-skip"]
    path.write_text(
        json.dumps({"cells": cells, "metadata": {}, "nbformat": 4, "nbformat_minor": 5})
    )
    return path


def _cell(number, source):
    text = source.removeprefix("md:")
    kind = {"cell_type": "code", "outputs": [], "execution_count": None}
    return {
        **(kind if text == source else {"cell_type": "markdown"}),
        "id": f"c{number}",
        "metadata": {},
        "source": text.splitlines(keepends=True),
    }
