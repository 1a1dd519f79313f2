from __future__ import annotations

from importlib import metadata

from convexlab.web.openapi import described
from convexlab.web.release import release


def test_the_packages_metadata_is_read_once(monkeypatch):
    assert release() == metadata.version("convexlab")
    monkeypatch.setattr(metadata.Distribution, "from_name", None)
    assert described([], {}, "https://here.example")["info"]["version"] == release()
