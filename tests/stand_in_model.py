"""A stand-in for sentence-transformers, whose vectors are easily told.

As the library: a class that is made of a name, and encodes lists of texts. A text's
vector says how many of each letter `abc` it has.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from pathlib import Path

LIBRARY = """
import os
import numpy as np

class SentenceTransformer:
    def __init__(self, name, device=None):
        if name == "missing":
            raise OSError("missing is not a local folder and is not a valid model")
        self.name = name

    def encode(self, texts, batch_size, show_progress_bar):
        print("noise on the standard output")
        if "fail once" in texts and not os.path.exists({flag!r}):
            open({flag!r}, "w").close()
            os._exit(3)
        return np.array([[text.count(c) + 0.0 for c in "abc"] for text in texts])
"""


def write_library(folder: Path) -> str:
    """Write it below a folder; what PYTHONPATH is to be, so that it is the library."""
    library = folder / "library" / "sentence_transformers"
    library.mkdir(parents=True)
    text = LIBRARY.format(flag=str(folder / "failed"))
    (library / "__init__.py").write_text(text)
    return str(library.parent)
