"""An optimizer whose state is shared out among several processes."""

import copy
import math
from collections.abc import Callable, Mapping
from typing import Any, Literal, NoReturn

import numpy as np

from schuss import options, threads
from schuss.distributed.alike import like, require_alike
from schuss.distributed.pieces import Array
from schuss.distributed.ranks import Ranks
from schuss.distributed.shards import Shards
from schuss.optimizers.base import Optimizer
from schuss.optimizers.layout import kind


class ZeroOptimizer:
    """An optimizer over several processes, each of which keeps a share of the state (ZeRO, stage 1).

    Every rank has all parameters, and a gradient of its own for each. `step` sums the gradients over the ranks, each
    rank updates the part of the parameters that it owns, and everyone receives all of them.

    Formula (W ranks, gᵣ the gradient of rank r): the step of `opt` along Σ gᵣ, or along Σ gᵣ/W with
        `reduction="mean"`, bit for bit as `opt` takes it along that sum. The order of the sum is MPI's.

    Source: Rajbhandari et al. 2020, section 5.1: the state is partitioned.

    Args:
        opt: An optimizer of schuss, made alike on every rank over parameters with the same values. Its state may have
            begun. It is taken over: each rank keeps its share of the state and frees the rest, and `opt` steps no more.
        comm: A communicator of mpi4py, such as `MPI.COMM_WORLD`.
        reduction: `"sum"` (default) or `"mean"`: what is made of the ranks' gradients.
        clip_norm: c in (0, ∞): multiply the reduced gradient by min(1, c/‖g‖), with the norm over all parameters.
            By default it is left as it is.
        skip_nonfinite: Leave out a step whose reduced gradient is not finite; `skipped` counts them. Default False.
        bucket: How many elements travel in one message, at least 1, default 2²⁰. One buffer of so many for each dtype,
            and the share of the reduced gradient, is all the memory that is needed besides.

    Attributes:
        groups: One dict for each parameter group, with hyperparameters that may be changed between steps, alike on
            every rank; `"params"` are the pieces that this rank owns.
        steps: The number of steps taken.
        skipped: The number of steps left out.
        grad_norm: The norm of the last reduced gradient, where `clip_norm` or `skip_nonfinite` ask for it.

    Every method is collective: all ranks call it, and in the same order.

    Raises:
        TypeError: An argument has another type, or a gradient another dtype.
        ValueError: An argument is out of its range, the ranks differ in their parameters or hyperparameters, or a
            gradient is missing or of another shape. What is wrong on one rank is raised on all of them, and nothing has
            been modified then.

    Example:
        # train.py, started by `mpiexec -n 4 python train.py`
        import numpy as np, schuss
        from mpi4py import MPI

        theta = np.array([1.0, -2.0])
        opt = schuss.distributed.ZeroOptimizer(schuss.Adam([theta], lr=0.1), MPI.COMM_WORLD, reduction="mean")
        opt.step([np.array([3.0, -0.5])])  # theta is [0.9, -1.9] on every rank
    """

    def __init__(
        self,
        opt: Optimizer,
        comm: Any,
        *,
        reduction: Literal["sum", "mean"] = "sum",
        clip_norm: float | None = None,
        skip_nonfinite: bool = False,
        bucket: int = 2**20,
    ) -> None:
        self._ranks = Ranks(comm)
        self.reduction, self.clip_norm, self.skip_nonfinite = reduction, clip_norm, skip_nonfinite
        self.skipped, self.grad_norm = 0, math.nan
        self._ranks.agree(lambda: self._check_arguments(opt, bucket))
        self._whole = copy.copy(opt)  # for the form of the parameters; its state goes below
        self._params = self._ranks.agree(opt._arrays)
        require_alike(self._ranks, opt, self._params, (reduction, clip_norm, skip_nonfinite, bucket))
        self._shards = Shards(self._ranks, self._params, bucket)
        self._share = opt._over(self._shards.views())
        self._cut(opt._named_states())
        self._whole._states, self._whole._plans = [], []
        _retire(opt)

    def _check_arguments(self, opt: Any, bucket: Any) -> None:
        if not isinstance(opt, Optimizer):
            raise TypeError(f"opt is {kind(opt)}, expected an optimizer of schuss")
        if "step" in opt.__dict__:
            raise ValueError("opt belongs to another ZeroOptimizer, expected one of its own")
        if self.reduction not in ("sum", "mean"):
            raise ValueError(f"reduction must be 'sum' or 'mean', got {self.reduction!r}")
        if self.clip_norm is not None and options.number("clip_norm", self.clip_norm, options.POSITIVE_OR_ZERO) == 0:
            raise ValueError("clip_norm must be greater than 0, got 0")
        if not isinstance(self.skip_nonfinite, (bool, np.bool_)):
            raise TypeError(f"skip_nonfinite must be True or False, got {self.skip_nonfinite!r}")
        threads.check_count("bucket", bucket)

    # ---- the step ----

    @property
    def groups(self) -> list[dict[str, Any]]:
        """The hyperparameters of each group, and the pieces that this rank owns."""
        return self._share.groups

    @property
    def steps(self) -> int:
        """The number of steps taken."""
        return self._share.steps

    def step(self, grads: Any) -> None:
        """Reduce the gradients of all ranks and update all parameters, in place and on every rank.

        Args:
            grads: This rank's gradients, as the optimizer's own `step` takes them. They are read only, and never kept.

        Raises:
            TypeError: A gradient, of whatever rank, has another dtype, or `grads` is not in the form of `params`.
            ValueError: A gradient is missing, left over or of another shape, or a schedule gave a value out of range.
                Nothing has been sent or modified then.
        """
        flat, plan = self._ranks.agree(lambda: (self._flat(grads), self._share._planned_step()))
        self._shards.reduce(flat)
        if not self._scale():
            self.skipped += 1
            return
        self._share._carry_out(plan, self._shards.grads)
        self._shards.gather(self._shards.flat)

    def _flat(self, grads: Any) -> dict[int, Array]:
        """The gradients as flat arrays, by number; raises unless each is like its parameter."""
        flat: list[Array] = []
        by_group = self._whole._by_group(grads)
        for layout, params, arrays in zip(self._whole._layouts, self._params, by_group, strict=True):
            layout.check_source()
            for label, param, array in zip(layout.labels, params, arrays, strict=True):
                names = f"grads{layout.where}{label}", f"params{layout.where}{label}"
                flat.append(like(param, array, *names).reshape(-1))
        return dict(enumerate(flat))

    def _scale(self) -> bool:
        """Divide and clip the reduced gradient as is wanted; False if the step is to be left out."""
        owned = list(self._shards.reduced())
        if self.reduction == "mean":
            for own in owned:
                own /= self._ranks.size
        if self.clip_norm is None and not self.skip_nonfinite:
            return True
        squares = math.fsum(float(np.square(own, dtype=np.float64).sum()) for own in owned)
        self.grad_norm = math.sqrt(sum(self._ranks.rows(np.array([squares]))[:, 0]))
        if self.skip_nonfinite and not math.isfinite(self.grad_norm):
            return False
        if self.clip_norm is not None and self.grad_norm > self.clip_norm:
            for own in owned:
                own *= self.clip_norm / self.grad_norm
        return True

    # ---- what it holds ----

    def theta(self) -> Any:
        """Copies of the parameters θ themselves on every rank, as the optimizer's own `theta` gives them."""
        thetas = [[np.empty_like(p) for p in params] for params in self._params]
        self._fill(_numbered(thetas), self._share.theta())
        return self._whole._in_form(thetas)

    def _fill(self, whole: dict[int, Array], by_group: list[list[Array] | None]) -> None:
        """Make whole arrays of the ranks' pieces."""
        self._shards.place(by_group, whole)
        self._shards.gather(whole)

    def _with_states(self, make: Callable[[tuple[int, ...], Any], Array]) -> Optimizer:
        """The optimizer as it would be in one process, with states that are still to be filled."""
        whole = copy.copy(self._whole)
        whole._states = [
            {name: None if own is None else [make(p.shape, p.dtype) for p in params] for name, own in states.items()}
            for states, params in zip(self._share._states, self._params, strict=True)
        ]
        return whole

    def state_dict(self) -> dict[str, Any]:
        """A snapshot in the form of the optimizer's own `state_dict`, with whole arrays, alike on every rank.

        Any number of ranks can load it, and so can the optimizer without ranks.
        """
        whole = self._with_states(np.empty)
        for name in dict.fromkeys(name for states in whole._states for name in states):
            blank: list[list[Any]] = [
                states.get(name) or [None] * len(params)
                for states, params in zip(whole._states, self._params, strict=True)
            ]
            into = {number: array for number, array in _numbered(blank).items() if array is not None}
            self._fill(into, [states.get(name) for states in self._share._states])
        return {**self._share.state_dict(), "state": whole._named_states()}

    def load_state_dict(self, state: Mapping[str, Any]) -> None:
        """Take over a snapshot of any number of ranks, or of the optimizer without ranks; every rank passes all of it.

        Raises:
            TypeError: An array has another dtype than it has here.
            ValueError: The snapshot is of another optimizer or other parameters. Nothing has been modified then.
        """
        shapes = self._with_states(lambda shape, dtype: np.broadcast_to(np.zeros((), dtype), shape))
        loaded = self._ranks.agree(lambda: self._share._checked_state(state, shapes._named_states()))
        self._share._take_over(state, loaded, {})
        self._cut(state["state"])

    def _cut(self, whole: Mapping[str, Array]) -> None:
        """Copy this rank's pieces out of whole states by name."""
        paths = [path for layout in self._whole._layouts for path in layout.paths]
        for pieces, states in zip(self._shards.pieces, self._share._states, strict=True):
            for name, own in states.items():
                if own is not None:
                    for piece, array in zip(pieces, own, strict=True):
                        array[...] = piece.of(whole[f"{paths[piece.param]}.{name}"].reshape(-1))


def _numbered(by_group: list[list[Any]]) -> dict[int, Any]:
    """Arrays by the parameters' numbers, as flat views."""
    arrays = (array for group in by_group for array in group)
    return {number: None if array is None else array.reshape(-1) for number, array in enumerate(arrays)}


def _retire(opt: Optimizer) -> None:
    """Free the state of an optimizer whose work a `ZeroOptimizer` does from here on."""
    opt._states, opt._plans = [], []
    opt.__dict__.update(dict.fromkeys(("step", "theta", "state_dict", "load_state_dict"), _refuse))


def _refuse(*_: Any) -> NoReturn:
    raise ValueError("this optimizer has been taken over by a ZeroOptimizer, expected the call on that")
