"""Optimizers over the processes of an mpi4py communicator."""

from schuss.distributed.zero import ZeroOptimizer

__all__ = ["ZeroOptimizer"]
