"""The public names: all there, and loaded only when they are asked for."""

from __future__ import annotations

import subprocess
import sys

import pytest

import convexlab

HEAVY = (
    "aiohttp",
    "apsw",
    "pandas",
    "numpy",
    "tornado",
    "jupyter_server",
    "duckdb",
    "uvloop",
    "pydantic",
)


def fresh(program: str) -> str:
    """What a program prints in an interpreter of its own."""
    done = subprocess.run(
        [sys.executable, "-c", program], capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr
    return done.stdout.strip()


@pytest.mark.parametrize("name", convexlab.__all__)
def test_every_public_name_is_there(name) -> None:
    assert getattr(convexlab, name) is not None or name == "UNDEFINED"
    assert name in dir(convexlab)


def test_another_name_is_an_attribute_error() -> None:
    with pytest.raises(AttributeError, match="no attribute 'nope'"):
        convexlab.nope  # noqa: B018


def test_the_package_alone_loads_nothing() -> None:
    loaded = fresh(
        "import convexlab, sys; print([n for n in sys.modules if n.startswith('convexlab.')])"
    )
    assert loaded == "[]"


def test_the_names_of_a_module_load_no_server() -> None:
    program = "from convexlab import query, mutation, v, api, Id, Doc, QueryCtx, define_schema, define_table, to_ms, ConvexError\n"
    program += f"import sys; print([n for n in {HEAVY!r} if n in sys.modules])"
    assert fresh(program) == "[]"


def test_connecting_loads_no_server() -> None:
    program = "from convexlab import connect\n"
    program += "import sys; print([n for n in ('aiohttp', 'apsw', 'pandas', 'tornado') if n in sys.modules])"
    assert fresh(program) == "[]"


def test_v_reads_annotations_however_it_is_imported() -> None:
    assert (
        fresh("from convexlab import v; print(v.of(list[str]))")
        == "v.array(v.string())"
    )


def test_a_cells_definitions_change_nothing_of_pythons() -> None:
    """Only processes that run functions replace time and chance."""
    program = "import time; before = time.time\nfrom convexlab import query\n@query\ndef f(ctx): ...\nprint(time.time is before)"
    assert fresh(program) == "True"


def test_the_magics_load_nothing_heavy() -> None:
    """What `%load_ext convexlab` imports; what it then does is a request or two."""
    heavy = (*HEAVY, "polars", "pyarrow", "ipywidgets", "anywidget")
    program = "from IPython import InteractiveShell\nfrom convexlab import load_ipython_extension\n"
    program += f"import sys; print([n for n in {heavy!r} if n in sys.modules])"
    assert fresh(program) == "[]"
