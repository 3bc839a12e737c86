"""How many threads the kernels use, and why."""

import math
import operator
import os
from pathlib import Path
from typing import Any

import numpy as np

from schuss import _core


def usable_cpus() -> tuple[int, str]:
    """The number of CPUs this process may use, and what sets it: its affinity or its control group's quota."""
    cpus = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
    quota = cgroup_quota()
    if quota is not None and quota < cpus:
        return quota, f"the control group's quota of {quota} CPUs"
    return cpus, f"{cpus} CPUs are usable by this process"


def cgroup_quota(root: Path = Path("/sys/fs/cgroup"), membership: Path = Path("/proc/self/cgroup")) -> int | None:
    """The quota of this process's control group and of those above it, in whole CPUs; None where there is no limit."""
    try:
        paths = [line.split(":", 2)[2].strip("/") for line in membership.read_text().splitlines()]
    except (OSError, IndexError):
        paths = [""]
    groups = {Path(path, *[".."] * up) for path in paths for up in range(len(Path(path).parts) + 1)}
    quotas = [_quota(root / group) for group in groups] + [_quota(root / "cpu" / group) for group in groups]
    return min((quota for quota in quotas if quota is not None), default=None)


def _quota(group: Path) -> int | None:
    """The quota of one control group, of version 2 or 1, in whole CPUs, at least 1."""
    try:
        if (group / "cpu.max").exists():
            quota, period = (group / "cpu.max").read_text().split()
        else:
            quota = (group / "cpu.cfs_quota_us").read_text()
            period = (group / "cpu.cfs_period_us").read_text()
        return None if quota == "max" or int(quota) <= 0 else max(1, math.ceil(int(quota) / int(period)))
    except (OSError, ValueError):
        return None


def _default() -> tuple[int, str]:
    cpus, reason = usable_cpus()
    limit = _core.openmp_limit() if _core.openmp_version else cpus
    if limit < cpus:
        asked = os.environ.get("OMP_NUM_THREADS")
        return limit, f"OMP_NUM_THREADS={asked}" if asked else "the limit of the OpenMP runtime"
    return cpus, reason


_wanted, _reason = 1, ""


def set_num_threads(n: int) -> None:
    """Set how many threads the kernels use from now on, in every Python thread.

    Args:
        n: The number of threads, at least 1. Results do not depend on it, not even in the last bit.

    Raises:
        TypeError: `n` is not an integer.
        ValueError: `n` is less than 1.

    Example:
        >>> import schuss
        >>> schuss.set_num_threads(1)
        >>> schuss.get_num_threads()
        1
    """
    global _wanted, _reason
    _wanted, _reason = check_num_threads(n), f"set_num_threads({n})"
    _core.set_num_threads(_wanted)


def get_num_threads() -> int:
    """How many threads a call of a kernel may use from here.

    By default the CPUs this process may use (its affinity, its control group's quota), capped by `OMP_NUM_THREADS`;
    then what `set_num_threads` said. A limit set on the OpenMP runtime later (`threadpoolctl`) holds besides.

    Example:
        >>> import schuss
        >>> schuss.get_num_threads() >= 1
        True
    """
    return _core.get_num_threads()


def reason() -> str:
    """Why `get_num_threads` says what it says."""
    if _core.get_num_threads() < _wanted:
        return "the OpenMP runtime was limited after import (threadpoolctl)"
    return _reason


def check_num_threads(n: int) -> int:
    """`n` itself, if it is a number of threads; raises otherwise."""
    return check_count("num_threads", n)


def check_count(name: str, n: Any) -> int:
    """`n` itself, if it is an integer of at least 1 and not absurdly large; raises otherwise."""
    if isinstance(n, (bool, np.bool_)) or not hasattr(n, "__index__"):
        raise TypeError(f"{name} must be an integer of at least 1, got {n!r}")
    if not 1 <= operator.index(n) < 2**31:
        raise ValueError(f"{name} must be an integer of at least 1 and less than 2**31, got {n!r}")
    return operator.index(n)


def reset() -> None:
    """Go back to the default number of threads."""
    global _wanted, _reason
    _wanted, _reason = _default()
    _core.set_num_threads(_wanted)


reset()
if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_core.after_fork_in_child)
