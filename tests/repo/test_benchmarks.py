"""Every benchmark runs on little data and prints its table; no figure is looked at."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
NAMES = sorted(
    file.stem.removeprefix("bench_")
    for file in (ROOT / "tests/benchmarks").glob("bench_*.py")
)


@pytest.mark.parametrize("name", NAMES)
def test_a_benchmark_prints_its_table_and_its_reference(name: str, tmp_path: Path):
    """`--smoke` ends well, with a ratio to a reference of the same run."""
    ran = subprocess.run(
        [
            sys.executable,
            "-m",
            "tests.benchmarks",
            name,
            "--smoke",
            "--dir",
            str(tmp_path),
        ],
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=False,
    )
    assert ran.returncode == 0, ran.stdout + ran.stderr
    head = next(line for line in ran.stdout.splitlines() if "p50 ms" in line)
    assert head.split() == [
        head.split()[0],
        "p50",
        "ms",
        "p99",
        "ms",
        "peak",
        "MB",
        "ratio",
    ]
    assert "1.00" in ran.stdout, "no line is the reference"
    assert "N.B." not in ran.stdout, ran.stdout  # it did not end as it should
    assert not list(tmp_path.iterdir()), "it left something behind"
