from __future__ import annotations

import asyncio
import os
from typing import TYPE_CHECKING

import pytest

from convexlab import knobs
from convexlab.errors import Unavailable
from convexlab.sync.claims import Claims

if TYPE_CHECKING:
    from pathlib import Path


async def test_a_claim_is_known_to_the_next_run(tmp_path: Path) -> None:
    file = tmp_path / "claims"
    first = Claims(file, now=lambda: 1000.0)
    await asyncio.gather(*(first.add(f"name {n}") for n in range(20)))
    # Nothing is closed: whoever is killed closes nothing.
    second = Claims(file, now=lambda: 1001.0)
    assert [second.since(f"name {n}") for n in (0, 19)] == [1000.0, 1000.0]
    assert second.since("another") is None
    first.close()
    second.close()


async def test_claims_are_forgotten_with_time_and_in_number(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(knobs, "MAX_CLAIMS", 10)
    monkeypatch.setattr(os, "fdatasync", lambda _: None)
    claims = Claims(tmp_path / "claims", now=lambda: 0.0)
    for n in range(21):
        await claims.add(f"{n}")
    assert claims.since("10") is None
    assert claims.since("11") == 0.0
    claims.close()
    kept = Claims(tmp_path / "claims", now=lambda: 1.0)
    assert kept.since("20") == 0.0
    kept.close()
    later = Claims(tmp_path / "claims", now=lambda: knobs.CLAIM_SECONDS + 1)
    assert later.since("20") is None
    later.close()


async def test_a_line_that_was_not_finished_is_no_claim(tmp_path: Path) -> None:
    file = tmp_path / "claims"
    file.write_bytes(b"5.000 whole\nnonsense\n6.000 \n7.000 half")
    claims = Claims(file, now=lambda: 8.0)
    assert claims.since("whole") == 5.0
    assert claims.since("half") is None
    await claims.add("next")
    claims.close()
    assert file.read_text() == "5.000 whole\n8.000 next\n"


async def test_what_cannot_be_written_down_is_not_begun(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    claims = Claims(tmp_path / "claims")

    def full(_: int) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(os, "fdatasync", full)
    with pytest.raises(Unavailable, match="No space left"):
        await claims.add("name")
    claims.close()
