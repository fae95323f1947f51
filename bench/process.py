"""What a process takes of the machine's memory, as Linux tells."""

from __future__ import annotations

from pathlib import Path

_STATUS = Path("/proc/self/status")
_CLEAR = Path("/proc/self/clear_refs")


def _status(field: str) -> int | None:
    if not _STATUS.exists():
        return None
    for line in _STATUS.read_text().splitlines():
        if line.startswith(field):
            return int(line.split()[1]) * 1024
    return None


def resident_bytes() -> int | None:
    """Return the resident bytes of this process, None where the system hides them."""
    return _status("VmRSS:")


def peak_bytes() -> int | None:
    """Return the most resident bytes since the start or the last `reset_peak`."""
    return _status("VmHWM:")


def reset_peak() -> None:
    """Let the peak begin at what is resident now, where the system can do that."""
    if _CLEAR.exists():
        _CLEAR.write_text("5")
