"""Memory, messages and times of `schuss.distributed`, one row for as many ranks as it is started on.

    for n in 1 2 3 4; do OMP_NUM_THREADS=1 OPENBLAS_NUM_THREADS=1 mpiexec -n $n python bench/distributed.py; done

Every rank has all of ResNet-50's parameters and a gradient, float32. AdamW over shares of the state is compared with
AdamW on every rank after an Allreduce of the gradients, in turns. Then an iteration of L-BFGS is timed.
"""

import math
import os
import time
from pathlib import Path

import numpy as np
from mpi4py import MPI

import schuss
from schuss.benchmark.cases import resnet50
from schuss.distributed import ZeroOptimizer, minimize, share
from schuss.distributed.directions import LBFGS
from schuss.distributed.ranks import Ranks
from schuss.distributed.sums import collect, products

comm = MPI.COMM_WORLD
ROUNDS = 9
UNKNOWNS = 1_000_000


def resident():
    """The memory of this process, in bytes."""
    return int(Path("/proc/self/statm").read_text().split()[1]) * os.sysconf("SC_PAGE_SIZE")


def seconds(call):
    """How long a collective call takes on the slowest rank."""
    comm.Barrier()
    begin = time.perf_counter()
    call()
    return comm.allreduce(time.perf_counter() - begin, op=MPI.MAX)


def in_turns(calls):
    """The median time of each call, in milliseconds: after one untimed round they take turns."""
    rounds = [[seconds(call) for call in calls] for _ in range(ROUNDS + 1)]
    return 1e3 * np.median(rounds[1:], axis=0)


def arrays(value):
    """Arrays of ResNet-50's shapes, one after the other in one flat array, and that array."""
    shapes = list(resnet50())
    ends = np.cumsum([math.prod(shape) for shape in shapes])
    flat = np.full(ends[-1], value, np.float32)
    return [part.reshape(shape) for part, shape in zip(np.split(flat, ends[:-1]), shapes, strict=True)], flat


def optimizer():
    """Bytes for each parameter and milliseconds for a step: shared, replicated, and the parts of a shared step."""
    (grads, _), (params, of_params) = arrays(1e-3), arrays(0.1)
    count = of_params.size
    before = resident()
    zero = ZeroOptimizer(schuss.AdamW(params), comm)
    zero.step(grads)
    held = (resident() - before) / count
    state = sum(a.nbytes for states in zero._share._states for own in states.named().values() for a in own) / count
    (summed, flat_sum), (whole, _) = arrays(1e-3), arrays(0.1)
    before = resident()
    alone = schuss.AdamW(whole)

    def replicated():
        comm.Allreduce(MPI.IN_PLACE, flat_sum)
        alone.step(summed)

    replicated()
    held_alone = (resident() - before) / count
    shards, flat, step = zero._shards, zero._gradients(grads)[1], zero._share
    reduced = shards.reduce(flat)
    times = in_turns(
        [
            lambda: zero.step(grads),
            replicated,
            lambda: shards.reduce(flat),
            lambda: step._carry_out(step._planned_step(), reduced, None),
            shards.gather,
        ]
    )
    sent = 2 * 4 * (comm.size - 1) / comm.size
    bytes_of = f"{state:.2f} | {held:.2f} | {held_alone:.2f} | {sent:.2f}"
    return f"{bytes_of} | {times[0] / times[1]:.2f} | {times[0]:.0f} = {times[2]:.0f} + {times[3]:.0f} + {times[4]:.0f}"


def minimiser():
    """Milliseconds for L-BFGS: an iteration with its evaluations, and the sums of one exactly and by an Allreduce."""
    part, ranks = share(UNKNOWNS, comm), Ranks(comm)
    scale = np.linspace(1, 1000, UNKNOWNS)[part]

    def fun(x):
        g = scale * x
        return x @ g / 2, g

    begin = time.perf_counter()
    res = minimize(fun, np.ones(len(scale)), comm=comm, maxiter=30)
    iteration = comm.allreduce(time.perf_counter() - begin, op=MPI.MAX) / res.nit * 1e3
    method = LBFGS(ranks, scale)
    terms = products(method.rows, (scale, scale))
    small = np.empty(terms.shape[1])
    exact, plain = in_turns(
        [
            lambda: collect(ranks, terms.T.tolist(), ()),
            lambda: comm.Allreduce(terms.sum(axis=0), small),
        ]
    )
    return f"{iteration:.1f} | {exact:.2f} | {plain:.2f}"


if __name__ == "__main__":
    rows = optimizer(), minimiser()
    if comm.rank == 0:
        print(f"| {comm.size} | {' | '.join(rows)} |", flush=True)
