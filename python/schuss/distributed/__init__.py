"""Optimizers and minimisers over the processes of an mpi4py communicator."""

from schuss.distributed.minimize import minimize
from schuss.distributed.sums import share
from schuss.distributed.zero import ZeroOptimizer

__all__ = ["ZeroOptimizer", "minimize", "share"]
