"""The notebooks run from top to bottom, headless, each in a folder of its own."""

from __future__ import annotations

import json
import os
import re
import shutil
import signal
from pathlib import Path
from typing import TYPE_CHECKING, Any

import nbformat
import psutil
import pytest
from nbclient import NotebookClient

if TYPE_CHECKING:
    from collections.abc import Iterator

NOTEBOOKS = sorted((Path(__file__).parents[2] / "notebooks").glob("*.ipynb"))
LIVE = "application/vnd.convexlab.live.v1+json"


@pytest.fixture
def folder(tmp_path: Path) -> Iterator[Path]:
    """An empty project; the deployment that a notebook started in it is ended."""
    yield tmp_path
    address = tmp_path / ".convexlab" / "local" / "address.json"
    if address.exists():
        gateway = psutil.Process(json.loads(address.read_text())["pid"])
        family = [gateway, *gateway.children(recursive=True)]
        os.kill(gateway.pid, signal.SIGTERM)
        psutil.wait_procs(family, timeout=60)


def outputs(notebook: Any, source: str) -> list[Any]:
    """The outputs of the cell that contains a text."""
    found: list[Any] = next(c.outputs for c in notebook.cells if source in c.source)
    return found


@pytest.mark.timeout(300)
@pytest.mark.parametrize("path", NOTEBOOKS, ids=lambda path: path.stem)
def test_a_notebook_runs_from_top_to_bottom(path: Path, folder: Path) -> None:
    shutil.copy(path, folder)
    notebook = nbformat.read(folder / path.name, as_version=4)
    client = NotebookClient(
        notebook, timeout=240, resources={"metadata": {"path": str(folder)}}
    )
    client.execute()
    if path.stem == "01_quickstart":
        live = outputs(notebook, "db.watch(")[0].data
        assert live[LIVE]["path"] == "flights:recent"
        assert "showing 20 of 50 documents" in live["text/html"]
        said = outputs(notebook, 'db.query("flights:to"')[0].data
        assert "HNL" in said["text/html"]
    if path.stem == "02_live_views":
        kinds = [
            said["view"]["kind"]
            for cell in notebook.cells
            for output in cell.get("outputs", ())
            if "view" in (said := output.get("data", {}).get(LIVE, {}))
        ]
        assert kinds == ["metric", "chart", "table", "stored"]
        grid = outputs(notebook, "LiveGrid(")[0].data[LIVE]["control"]
        made = [item["control"]["kind"] for item in grid["items"]]
        assert made == ["form", "button"]
    if path.stem == "03_time_travel":
        assert "5000    1458" in shown(notebook, "value_counts()")
    if path.stem == "04_from_notebook_to_backend":
        assert "follows SQL (select manufacturer" in shown(notebook, "%live stop")
        assert "new: schema, shared, planes" in shown(notebook, "convert convex")
        assert (
            "from convexlab import Doc, Id" in (folder / "convex/planes.py").read_text()
        )
        assert "(new: nothing)" in shown(notebook, "deploy --dry-run")
    if path.stem == "06_search":
        assert "DataFrame.rolling" in shown(notebook, "rolling window mea")
        assert "statistics.median" in shown(notebook, 'package="python")')
        assert "music.xylophone" in shown(notebook, "live.wait_for")
    if path.stem == "07_dashboards":
        rows = outputs(notebook, "LiveGrid(")[0].data[LIVE]["control"]["items"]
        assert [len(row["control"]["items"]) for row in rows] == [4, 2, 2]
        assert shown(notebook, "minutes=60)\n\nboard") == "('19:00', 658, 16.4)"
    if path.stem == "08_schema_and_functions":
        refused = [
            output.evalue.split(":")[0]
            for cell in notebook.cells
            for output in cell.get("outputs", ())
            if output.output_type == "error"
        ]
        assert refused[0] == "ArgumentValidationError"
        assert refused[1] == '{"code"'
        assert refused[2].startswith("Failed to insert or update a document")
        assert refused[3:] == ["Row 1"]
        remarks = shown(notebook, '[0]["remarks"]')
        assert remarks == "['engine inspection']", "a refused mutation left something"
    if path.stem == "05_files":
        assert shown(notebook, "pandas.read_csv").count("\n") == 13


def test_the_tour_can_be_walked_in_one_folder() -> None:
    """Where a table is in two schemas, the second notebook would meet the first's data."""
    declared = [
        (table, path.stem)
        for path in NOTEBOOKS
        for cell in nbformat.read(path, as_version=4).cells
        for table in re.findall(r'"(\w+)": define_table\(', cell.source)
    ]
    tables = [table for table, _ in declared]
    assert sorted(set(tables)) == sorted(tables), declared


def shown(notebook: Any, source: str) -> str:
    """The last output of the cell that contains a text, as text."""
    last = outputs(notebook, source)[-1]
    text: str = last.data["text/plain"]
    return text
