"""`python -m tests.benchmarks`: run the benchmarks named, or all of them."""

from __future__ import annotations

import argparse
import importlib
import platform
import tempfile
from pathlib import Path

from tests.benchmarks.figures import Options

from convexlab.engine.compiled import engine_in_words

NAMES = tuple(
    sorted(file.stem[6:] for file in Path(__file__).parent.glob("bench_*.py"))
)


def main() -> None:
    asked = _arguments()
    print(
        f"{platform.system()} {platform.release()}, Python {platform.python_version()}, "
        f"{engine_in_words()}"
        f"{', smoke: the figures mean nothing' if asked.smoke else ''}"
    )
    for name in asked.names or NAMES:
        bench = importlib.import_module(f"tests.benchmarks.bench_{name}")
        with tempfile.TemporaryDirectory(
            prefix="convexlab-bench-", dir=asked.dir
        ) as folder:
            options = Options(
                Path(folder),
                smoke=asked.smoke,
                asked_seconds=asked.seconds,
                plots=asked.plots,
                asked_documents=asked.documents,
            )
            for table in bench.run(options):
                print(f"\n{table}", flush=True)


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m tests.benchmarks")
    parser.add_argument("names", nargs="*", metavar="NAME", help=", ".join(NAMES))
    parser.add_argument(
        "--smoke", action="store_true", help="little data, seconds: does it run?"
    )
    parser.add_argument("--seconds", type=float, help="how long sustained loads run")
    parser.add_argument(
        "--documents",
        type=int,
        help="how many documents there are, where a benchmark asks that",
    )
    parser.add_argument(
        "--dir", type=Path, help="where the data goes; a disk, not a memory file system"
    )
    parser.add_argument("--plots", type=Path, help="a folder to draw plots in")
    asked = parser.parse_args()
    asked.names = [
        name.removeprefix("bench_").removesuffix(".py") for name in asked.names
    ]
    unknown = set(asked.names) - set(NAMES)
    if unknown:
        parser.error(f"no benchmark is called {', '.join(sorted(unknown))}")
    return asked


if __name__ == "__main__":
    main()
