"""What this installation is and how it will run: versions, instruction set, threads."""

import platform
from typing import Any

import numpy as np

from schuss import _core, threads


def config() -> dict[str, Any]:
    """The facts that `show_config` prints, by name."""
    return {
        "schuss": _core.version,
        "python": platform.python_version(),
        "numpy": np.__version__,
        "compiler": _core.compiler,
        "platform": platform.platform(),
        "processor": _processor(),
        "instruction_set": _core.level,
        "instruction_set_reason": _core.level_reason,
        "instruction_sets_built": _core.levels_built,
        "num_threads": _core.get_num_threads(),
        "num_threads_reason": threads.reason(),
        "usable_cpus": threads.usable_cpus()[0],
        "openmp": _core.openmp_version or None,
        "openmp_runtime": _openmp_runtime(),
    }


def show_config() -> None:
    """Print versions, the instruction-set level and the number of threads, each with its reason.

    Example:
        >>> import schuss
        >>> schuss.show_config()  # doctest: +ELLIPSIS
        schuss ...
    """
    facts = config()
    openmp = f"version {facts['openmp']}, {facts['openmp_runtime']}" if facts["openmp"] else "none"
    rows = {
        "schuss": f"{facts['schuss']} (Python {facts['python']}, NumPy {facts['numpy']}, built by {facts['compiler']})",
        "machine": f"{facts['processor']}, {facts['platform']}",
        "instruction set": f"{facts['instruction_set']}: {facts['instruction_set_reason']}",
        "threads": f"{facts['num_threads']}: {facts['num_threads_reason']}",
        "OpenMP": openmp,
    }
    for name, value in rows.items():
        print(f"{name:16}{value}")
    if facts["num_threads"] == 1 < facts["usable_cpus"]:
        print(f"note            one thread of {facts['usable_cpus']} possible: {facts['num_threads_reason']}")


def _processor() -> str:
    try:
        with open("/proc/cpuinfo") as lines:
            return next(line.split(":", 1)[1].strip() for line in lines if line.startswith("model name"))
    except (OSError, StopIteration):
        return platform.processor() or platform.machine()


def _openmp_runtime() -> str:
    """The file names of the OpenMP runtimes in this process, as far as the system tells."""
    names = ("libgomp", "libomp", "libiomp")
    try:
        with open("/proc/self/maps") as lines:
            files = {line.split()[-1].rsplit("/", 1)[-1] for line in lines if "/" in line}
    except OSError:
        return "runtime unknown"
    found = sorted(name for name in files if name.startswith(names))
    return ", ".join(found) or "runtime unknown"
