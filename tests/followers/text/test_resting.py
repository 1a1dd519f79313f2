"""Files: what was left is what is found, and what cannot be that is refused."""

from __future__ import annotations

import gc
from typing import TYPE_CHECKING

import msgspec
import numpy as np  # noqa: TID253 - as slots are given
import pytest

from convexlab.followers.text import resting
from convexlab.followers.text.index import TextIndex
from convexlab.followers.text.postings import Postings
from convexlab.followers.text.request import Definition

if TYPE_CHECKING:
    from pathlib import Path

KEY = (10_001, "said")


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """Three texts at rest, as of 9, in an index that nobody holds any more."""
    folder = tmp_path / "texts"
    index = TextIndex(Definition("body"), Postings(resting.new_folder(folder), 0))
    for number, words in enumerate((["a"], ["a", "b"], ["c"])):
        slot = index.versions.begin(bytes([number]) * 16, 5, number, [], (1.0,))
        index.tail.add(slot, words)
    resting.save(folder, 9, {KEY: index})
    index.postings.close()
    del index
    gc.collect()  # Tantivy's lock goes with its writer
    return folder


def postings_of(folder: Path) -> Postings:
    (home,) = (path for path in folder.iterdir() if path.is_dir())
    return Postings(home, 0)


def test_it_is_found_as_it_was_left(folder: Path):
    watermark, indexes = resting.load(folder)
    index = indexes[KEY]
    index.check()
    assert (watermark, index.live, index.exact_from) == (9, 3, 9)
    assert index.postings.view.words_at([1]) == {1: ["a", "b"]}
    index.postings.close()


def test_what_tantivy_has_beyond_it_is_taken_out(folder: Path):
    postings = postings_of(folder)
    postings.add(77, ["late"], [])
    postings.commit()
    postings.close()
    del postings
    gc.collect()
    _, indexes = resting.load(folder)
    index = indexes[KEY]
    index.check()
    assert index.postings.view.all_slots().tolist() == [0, 1, 2]
    index.postings.close()


def test_what_tantivy_has_lost_makes_all_count_as_nothing(folder: Path):
    postings = postings_of(folder)
    postings.delete(np.array([1]))
    postings.commit()
    postings.close()
    del postings
    gc.collect()
    with pytest.raises(ValueError, match="Tantivy does not have what it should"):
        resting.load(folder)


def test_another_format_is_refused(folder: Path):
    path = folder / "state.json"
    state = msgspec.json.decode(path.read_bytes())
    path.write_bytes(msgspec.json.encode(state | {"format": resting.FORMAT - 1}))
    with pytest.raises(ValueError, match=f"format {resting.FORMAT - 1}"):
        resting.load(folder)


def test_nothing_is_left_of_what_is_discarded(folder: Path):
    resting.discard(folder)
    assert list(folder.iterdir()) == []
    with pytest.raises(FileNotFoundError):
        resting.load(folder)
