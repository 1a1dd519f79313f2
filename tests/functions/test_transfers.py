"""What is told of exports and imports."""

from __future__ import annotations

import pytest
from tests.functions.lab import lab_of

from convexlab.errors import ExportInProgress, NotFound
from convexlab.functions import transfers


@pytest.fixture
def run():
    lab = lab_of()

    def run(step, *args, **options):
        tx = lab.committer.begin()
        said = step(tx, *args, **options)
        lab.committer.accept(tx.finish())
        return said

    return run


def test_there_is_one_export_at_a_time(run):
    assert run(transfers.latest_export) is None
    first = run(transfers.request_export, include_storage=False)
    assert run(transfers.latest_export)["state"] == "requested"
    with pytest.raises(ExportInProgress):
        run(transfers.request_export, include_storage=True)
    run(transfers.say, first, {"state": "completed"})
    second = run(transfers.request_export, include_storage=True)
    latest = run(transfers.latest_export)
    assert latest["_id"] == second
    assert latest["format"] == {"format": "zip", "include_storage": True}
    assert [export["_id"] for export in run(transfers.exports)] == [second, first]


def test_imports_are_told_by_their_id(run):
    one = run(transfers.create_import, {"format": "csv"})
    assert run(transfers.import_of, one)["state"] == {"state": "uploaded"}
    run(transfers.say, one, {"state": {"state": "completed"}})
    assert [found["state"]["state"] for found in run(transfers.imports)] == [
        "completed"
    ]
    export = run(transfers.request_export, include_storage=False)
    for nothing in (export, None, 5):
        with pytest.raises(NotFound):
            run(transfers.import_of, nothing)


def test_what_was_under_way_when_the_deployment_ended_has_failed(run):
    export = run(transfers.request_export, include_storage=False)
    over = run(transfers.create_import, {})
    run(transfers.say, over, {"state": {"state": "completed"}, "targets": {}})
    waiting = run(transfers.create_import, {})
    begun = run(transfers.create_import, {})
    run(transfers.say, begun, {"state": {"state": "in_progress"}, "targets": {"t": 5}})
    assert run(transfers.interrupt) == [begun]
    assert run(transfers.latest_export)["state"] == "failed"
    states = {i["_id"]: i["state"]["state"] for i in run(transfers.imports)}
    # It has failed once what it wrote is taken back.
    assert states == {over: "completed", waiting: "failed", begun: "in_progress"}
    # However often it dies before that.
    assert run(transfers.interrupt) == [begun]
    assert export
