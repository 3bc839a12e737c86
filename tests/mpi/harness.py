"""Runs the checks of a script on every rank: `mpiexec -n 3 python tests/mpi/zero.py`."""

import inspect
import sys
import time
import traceback
from pathlib import Path

from mpi4py import MPI

sys.path.insert(0, str(Path(__file__).parent.parent))

comm = MPI.COMM_WORLD


def run(checks):
    """Call every function of `checks` whose name begins with check_; end all ranks at the first that fails."""
    for name, check in list(checks.items()):
        if name.startswith("check_"):
            begin = time.perf_counter()
            try:
                check()
            except BaseException:
                print(f"{name} failed on rank {comm.rank} of {comm.size}:\n{traceback.format_exc()}", flush=True)
                comm.Abort(1)
            comm.Barrier()
            if comm.rank == 0:
                print(f"{name} passed ({time.perf_counter() - begin:.2f} s)", flush=True)


def example(thing):
    """The names that the example in a docstring leaves behind."""
    names = {}
    exec(inspect.getdoc(thing).partition("Example:\n")[2].replace("\n    ", "\n").removeprefix("    "), names)
    return names


def raises(kind, call):
    """The message of the exception of that kind which `call` must raise."""
    try:
        call()
    except kind as error:
        return str(error)
    raise AssertionError(f"no {kind.__name__}")
