"""An optimizer whose state is shared out among several processes."""

import copy
import math
from collections.abc import Mapping
from contextlib import AbstractContextManager
from typing import Any, Literal, NoReturn

from schuss import _core, threads
from schuss.distributed.alike import gradient, require_alike, sliceable
from schuss.distributed.pieces import Array
from schuss.distributed.ranks import Ranks
from schuss.distributed.shards import Shards, numbered
from schuss.optimizers import phase as phases
from schuss.optimizers.base import Optimizer
from schuss.optimizers.layout import kind
from schuss.optimizers.storage import SCALED, computed, decoded, encode, zeros


class ZeroOptimizer:
    """An optimizer over several processes, each of which keeps a share of the state (ZeRO, stage 1).

    Every rank has all parameters, and a gradient of its own for each. `step` sums the gradients over the ranks, each
    rank updates the part of the parameters that it owns, and everyone receives all of them.

    Formula (W ranks, gᵣ the gradient of rank r): the step of `opt` along Σ gᵣ, added in the order of the ranks, bit
        for bit; with `reduction="mean"` as with a `grad_scale` W times as large.

    All that `opt.phase` asks for is done: the norm is that of all ranks' gradients together, averages are shared out
    like states, 16-bit gradients are added in float32, and rounding by chance gives the bits of one process.

    Source: Rajbhandari et al. 2020, section 5.1: the state is partitioned.

    Args:
        opt: An optimizer of schuss, made alike on every rank over parameters with the same values. Its state may have
            begun. It is taken over: each rank keeps its share of the state and frees the rest, and `opt` steps no more.
        comm: A communicator of mpi4py, such as `MPI.COMM_WORLD`.
        reduction: `"sum"` (default) or `"mean"`: what is made of the ranks' gradients.
        bucket: How many elements travel in one message, at least 1, default 2²⁰. Two buffers of so many for each dtype,
            and the share of the reduced gradient, is all the memory that is needed besides.

    Attributes:
        groups: One dict for each parameter group, with hyperparameters that may be changed between steps, alike on
            every rank; `"params"` are the pieces that this rank owns.
        phase: The options of what is done around the update rule, which may be changed likewise.
        steps: The number of steps taken.
        skipped: The number of steps left out because the gradients were not finite.
        averaged: The number of points in the average.
        grad_norm: The norm of the last reduced gradient, unscaled and not yet clipped; None until it has been measured.

    Every method is collective: all ranks call it, and in the same order.

    Raises:
        TypeError: An argument has another type, or a gradient another dtype.
        ValueError: An argument is out of its range, the ranks differ in their parameters or options, or a gradient is
            missing or of another shape. What is wrong on one rank is raised on all of them, and nothing has been
            modified then.

    Example:
        # train.py, started by `mpiexec -n 4 python train.py`
        import numpy as np, schuss
        from mpi4py import MPI

        theta = np.array([1.0, -2.0])
        opt = schuss.distributed.ZeroOptimizer(schuss.Adam([theta], lr=0.1), MPI.COMM_WORLD, reduction="mean")
        opt.step([np.array([3.0, -0.5])])  # theta is [0.9, -1.9] on every rank
    """

    def __init__(
        self, opt: Optimizer, comm: Any, *, reduction: Literal["sum", "mean"] = "sum", bucket: int = 2**20
    ) -> None:
        self._ranks = Ranks(comm)
        self.reduction = reduction
        flat = self._ranks.agree(lambda: self._checked_arguments(opt, bucket))
        require_alike(self._ranks, opt, self._params, (reduction, bucket))
        self._whole = copy.copy(opt)  # for the form of the parameters; its state goes below
        self._whole.__dict__["average"] = self.average
        self._copies = [extras["copies"] for extras in opt._extras]
        self._shards = Shards(self._ranks, self._params, opt._dtypes, bucket)
        self._share = opt._over(self._shards.views(flat))
        for extras, places in zip(self._share._extras, self._shards.places(), strict=True):
            extras["places"] = places
        self._cut(opt._named_states())
        self._whole._states, self._whole._plans, self._whole._extras = [], [], []
        _retire(opt)

    def _checked_arguments(self, opt: Any, bucket: Any) -> dict[int, Any]:
        """The parameters by number, in a form that can be sliced."""
        if not isinstance(opt, Optimizer):
            raise TypeError(f"opt is {kind(opt)}, expected an optimizer of schuss")
        if "step" in opt.__dict__:
            raise ValueError("opt belongs to another ZeroOptimizer, expected one of its own")
        if opt._swapped:
            raise ValueError("opt is within averaged_params(), expected it to be left first")
        if self.reduction not in ("sum", "mean"):
            raise ValueError(f"reduction must be 'sum' or 'mean', got {self.reduction!r}")
        threads.check_count("bucket", bucket)
        self._params, dtypes = opt._memory()
        rows = [
            sliceable(param, array, dtype, f"params{layout.where}{label}")
            for layout, arrays, kinds in zip(opt._layouts, self._params, dtypes, strict=True)
            for param, label, array, dtype in zip(layout.params, layout.labels, arrays, kinds, strict=True)
        ]
        return dict(enumerate(rows))

    # ---- the step ----

    @property
    def groups(self) -> list[dict[str, Any]]:
        """The hyperparameters of each group, and the pieces that this rank owns."""
        return self._share.groups

    @property
    def phase(self) -> dict[str, Any]:
        """The options of what is done around the update rule."""
        return self._share.phase

    @property
    def steps(self) -> int:
        """The number of steps taken."""
        return self._share.steps

    @property
    def skipped(self) -> int:
        """The number of steps left out because the gradients were not finite."""
        return self._share.skipped

    @property
    def averaged(self) -> int:
        """The number of points in the average."""
        return self._share.averaged

    @property
    def grad_norm(self) -> float | None:
        """The norm of the last reduced gradient, unscaled and not yet clipped, if it has been measured."""
        return self._share.grad_norm

    def step(self, grads: Any) -> None:
        """Reduce the gradients of all ranks and update all parameters, in place and on every rank.

        Args:
            grads: This rank's gradients, as the optimizer's own `step` takes them. They are read only (but for
                `zero_grad`), and never kept.

        Raises:
            TypeError: A gradient, of whatever rank, has another dtype, or `grads` is not in the form of `params`.
            ValueError: A gradient is missing, left over or of another shape, a schedule gave a value out of range, or
                the ranks differ in their options. Nothing has been sent or modified then.
        """
        arrays, flat, plan, request = self._ranks.agree(
            lambda: (*self._gradients(grads), self._share._planned_step(), self._requested()),
            lambda ready: ([group[1] for group in ready[2]], self.phase),
        )
        reduced = self._shards.reduce(flat)
        if request and (request["clip_norm"] is not None or request["skip_nonfinite"]):
            request["norm"] = self._norm(reduced)
        if not self._share._carry_out(plan, reduced, request):
            return
        self._shards.gather()
        self._write_copies()
        if self.phase["zero_grad"]:
            for array in arrays:
                array.view("u1" if array.ndim else array.dtype)[...] = 0

    def _gradients(self, grads: Any) -> tuple[list[Array], dict[int, Any]]:
        """The gradients as arrays, and flat by number; raises unless each is like its parameter."""
        if self._whole._swapped:
            raise ValueError("step() within averaged_params(): params hold the average, expected it to be left first")
        found: list[tuple[Array, Any]] = []
        by_group = self._whole._by_group(grads, "grads")
        for layout, params, dtypes, given in zip(
            self._whole._layouts, self._params, self._whole._dtypes, by_group, strict=True
        ):
            layout.check_source()
            for label, param, dtype, own in zip(layout.labels, params, dtypes, given, strict=True):
                names = f"grads{layout.where}{label}", f"params{layout.where}{label}"
                found.append(gradient(param, dtype, own, *names))
        if self.phase["zero_grad"]:
            self._require_disjoint(by_group)
        return [array for array, _ in found], dict(enumerate(flat for _, flat in found))

    def _require_disjoint(self, grads: list[list[Any]]) -> None:
        """Raise unless the gradients can be set to zero: unless they are writable and overlap nothing."""
        layouts = self._whole._layouts
        arrays = [array for layout, own in zip(layouts, grads, strict=True) for array in (*own, *layout.params)]
        names = [
            f"{argument}{layout.where}{label}"
            for layout in layouts
            for argument in ("grads", "params")
            for label in layout.labels
        ]
        _core.as_arrays(arrays, "", names)

    def _requested(self) -> dict[str, Any] | None:
        """What the core is to do around the rule, with what the ranks do together left to them."""
        request = self._share._requested()
        if self.reduction == "sum" or self._ranks.size == 1:
            return request and {**request, "zero_grad": False}
        request = request or phases.request(self.phase, self._share.groups[0]["convention"])
        return {**request, "zero_grad": False, "grad_scale": request["grad_scale"] * self._ranks.size}

    def _norm(self, reduced: list[list[Any]]) -> float:
        """The norm of the gradients of all ranks together, with the bits that the core gives it in one process."""

        def total(power: float) -> float:
            return self._shards.sum_of_squares(reduced, power, self._share.num_threads or 0)

        found = total(1.0)
        in_double = any(dtype == "float64" for dtypes in self._whole._dtypes for dtype in dtypes)
        if (math.isfinite(found) and found > 2.0**-900) or not in_double:
            return math.sqrt(found)
        power = 2.0**600 if math.isfinite(found) else 2.0**-600
        return math.sqrt(total(power)) / power

    def _write_copies(self) -> None:
        """Write the new parameters into the copies of fewer bits."""
        for arrays, copies, dtypes in zip(self._params, self._copies, self._whole._dtypes, strict=True):
            for array, own, dtype in zip(arrays, copies or [], dtypes if copies else [], strict=copies is not None):
                (held,), (form,) = _core.as_arrays([own], "copies", [""])
                encode(decoded(array, dtype), held, form)

    # ---- what it holds ----

    def theta(self) -> Any:
        """Copies of the parameters θ themselves on every rank, as the optimizer's own `theta` gives them."""
        return self._joined(self._share._thetas())

    def average(self) -> Any:
        """Copies of the averages of the parameters on every rank, as the optimizer's own `average` gives them.

        Raises:
            ValueError: The optimizer does not average.
        """
        return self._joined(self._share._averages())

    def averaged_params(self) -> AbstractContextManager[None]:
        """Let the parameters hold their average for a while, on every rank: to evaluate or to save them.

        Raises:
            ValueError: The optimizer does not average, or they hold it already.
        """
        return self._whole.averaged_params()

    def reset_average(self) -> None:
        """Begin the average anew: the next step's θ is its first point."""
        self._share.reset_average()

    def _joined(self, by_group: list[list[Array]]) -> Any:
        """Whole arrays of the ranks' pieces, in the type to compute with and in the form of the parameters."""
        whole = [
            [zeros(p.shape, computed(dtype)) for p, dtype in zip(params, dtypes, strict=True)]
            for params, dtypes in zip(self._params, self._whole._dtypes, strict=True)
        ]
        for group, pieces in enumerate(by_group):
            self._shards.join(pieces, numbered(whole), group)
        return self._whole._in_form(whole)

    # ---- saving and loading ----

    def _blank(self) -> Optimizer:
        """The optimizer as it would be in one process, with states that are still to be filled."""
        whole = copy.copy(self._whole)
        whole._states = whole._new_states()
        return whole

    def state_dict(self) -> dict[str, Any]:
        """A snapshot in the form of the optimizer's own `state_dict`, with whole arrays, alike on every rank.

        Any number of ranks can load it, and so can the optimizer without ranks.
        """
        whole = self._blank()
        for group, (states, own) in enumerate(zip(whole._states, self._share._states, strict=True)):
            pieces = own.named()
            for name, arrays in states.named().items():
                self._shards.join(pieces.get(name, []), self._by_number(group, arrays), group, _unit(name))
        return {**self._share.state_dict(), "state": whole._named_states()}

    def load_state_dict(self, state: Mapping[str, Any]) -> None:
        """Take over a snapshot of any number of ranks, or of the optimizer without ranks; every rank passes all of it.

        Raises:
            TypeError: An array has another dtype than it has here.
            ValueError: The snapshot is of another optimizer or other parameters. Nothing has been modified then.
        """
        loaded = self._ranks.agree(lambda: self._share._checked_state(state, self._blank()._named_states()))
        self._cut(state["state"])
        self._share._take_over(*loaded, state)

    def _cut(self, whole: Mapping[str, Array]) -> None:
        """Copy this rank's pieces out of whole states by name."""
        for group, states in enumerate(self._share._states):
            for name, own in states.named().items():
                arrays = [whole[f"{path}.{name}"] for path in self._whole._layouts[group].paths]
                self._shards.cut(self._by_number(group, arrays), own, group, _unit(name))

    def _by_number(self, group: int, arrays: list[Array]) -> dict[int, Array]:
        """Arrays of one group by the parameters' numbers, as flat views."""
        before = sum(map(len, self._params[:group]))
        return {before + index: array.reshape(-1) for index, array in enumerate(arrays)}


def _unit(name: str) -> int:
    """How many elements of a parameter a state has a value for."""
    return SCALED if name.endswith("_scale") else 1


def _retire(opt: Optimizer) -> None:
    """Free the state of an optimizer whose work a `ZeroOptimizer` does from here on."""
    opt._states, opt._plans, opt._extras = [], [], []
    retired = ("step", "theta", "average", "averaged_params", "state_dict", "load_state_dict")
    opt.__dict__.update(dict.fromkeys(retired, _refuse))


def _refuse(*_: Any) -> NoReturn:
    raise ValueError("this optimizer has been taken over by a ZeroOptimizer, expected the call on that")
