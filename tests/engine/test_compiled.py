from __future__ import annotations

from convexlab.engine import compiled, view


def test_an_engine_says_what_its_modules_are(monkeypatch):
    """An extension module lies beside its source and goes first."""
    monkeypatch.setattr(view, "__file__", "/x/convexlab/engine/view.py")
    assert not compiled.is_compiled()
    assert compiled.engine_in_words() == "engine in pure Python"
    monkeypatch.setattr(view, "__file__", "/x/convexlab/engine/view.abi.so")
    assert compiled.is_compiled()
    assert compiled.engine_in_words() == "compiled engine"
