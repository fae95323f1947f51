"""Check the size of a wheel and the time that `import cnn_core` takes."""

from __future__ import annotations

import statistics
import subprocess
import sys
from pathlib import Path

MAX_WHEEL_BYTES = 2 * 1024 * 1024
MAX_IMPORT_SECONDS = 0.15  # beyond NumPy

_TIMER = (
    "import time; import numpy; t = time.perf_counter(); import cnn_core; "
    "print(time.perf_counter() - t)"
)


def main() -> None:
    """Exit with a message if a limit is exceeded."""
    wheel = Path(sys.argv[1])
    size = wheel.stat().st_size
    print(f"{wheel.name}: {size / 1024:.0f} KiB")
    if size > MAX_WHEEL_BYTES:
        sys.exit(f"the wheel has {size} bytes, more than {MAX_WHEEL_BYTES}")
    # The least of several runs: a busy machine only ever adds time.
    times = [
        float(
            subprocess.run(
                [sys.executable, "-c", _TIMER],
                check=True,
                capture_output=True,
                text=True,
            ).stdout
        )
        for _ in range(9)
    ]
    print(
        f"import beyond NumPy: least {min(times):.3f} s, "
        f"median {statistics.median(times):.3f} s"
    )
    if min(times) > MAX_IMPORT_SECONDS:
        sys.exit(f"import takes {min(times):.3f} s, more than {MAX_IMPORT_SECONDS}")


if __name__ == "__main__":
    main()
