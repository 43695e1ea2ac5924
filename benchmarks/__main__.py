"""Run every benchmark: `make bench`, or `python -m benchmarks [--quick]`.

Each module of this folder is one benchmark, is runnable alone (`python -m benchmarks.NAME [--quick]`), and ends
its stdout with one JSON object. Here they run one after another, each in a process of its own.
"""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

HERE = Path(__file__).parent


def names() -> list[str]:
    """Return the benchmarks, in alphabetical order."""
    return sorted(p.stem for p in HERE.glob("*.py") if not p.stem.startswith("_"))


def main() -> int:
    """Run them all; return 1 where one failed."""
    failed = []
    for name in names():
        print(f"== {name}", flush=True)
        done = subprocess.run([sys.executable, "-m", f"benchmarks.{name}", *sys.argv[1:]], cwd=HERE.parent)
        if done.returncode:
            failed.append(name)
    if failed:
        print(f"failed: {', '.join(failed)}", file=sys.stderr)
    return bool(failed)


if __name__ == "__main__":
    sys.exit(main())
