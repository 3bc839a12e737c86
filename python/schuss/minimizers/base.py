"""What all solvers have in common: `ask` where to evaluate, `tell` what came out."""

import inspect
import math
from collections.abc import Callable, Mapping
from typing import Any, ClassVar

import numpy as np

from schuss import _core
from schuss.minimizers import arguments
from schuss.minimizers.compiled import Compiled
from schuss.minimizers.result import MESSAGES, RUNNING, STOPPED, Array, MinimizeResult

COMMON = """
Args of every solver:
    x0: Where to begin: n numbers. float32 stays float32, everything else becomes float64.
    gtol: Converged when the norm of the gradient is at most this, in [0, ∞), default 1e-5.
    norm: The order of that norm, default inf: the largest magnitude.
    xrtol: Converged, too, when a step is at most xrtol·(xrtol + ‖x‖), in [0, ∞), default 0.
    ftol: Converged, too, when an iteration lowers f by at most ftol·|f|, in [0, ∞), default 0.
    maxiter: Iterations at most, at least 0, default max(1000, 200n).
    maxfun: Evaluations at most, at least 1, default any number.
    maxtime: Seconds at most, in [0, ∞], default ∞.
    line_search: "wolfe" (default; Moré and Thuente 1994, with Hager and Zhang's approximate conditions where f cannot
        resolve the decrease), "backtracking", or "exact" for quadratics.
    c1, c2: The constants of the Wolfe conditions, 0 ≤ c1 < c2 < 1, default 1e-4 and a value that suits the method.
    first_step: The first step over the first direction, in [0, ∞); 0 (default) stands for one from the scales of x, f
        and g.
    num_threads: At least 1; by default what `schuss.get_num_threads()` says. Results do not depend on it.

Raises:
    TypeError: An argument has another type.
    ValueError: An argument is out of its range.
"""


class Minimizer:
    """The base of all solvers: asks where the objective is to be evaluated, and is told f and its gradient there.

    A solver is a coroutine in the compiled core. `state_dict` holds its state at the beginning of the current
    iteration; a solver that loads it evaluates the same points from there on and finds the same iterates, bit for bit.
    """

    method: ClassVar[str]

    def __init_subclass__(cls) -> None:
        cls.__doc__ = inspect.cleandoc(cls.__doc__ or "") + "\n" + COMMON

    def __init__(self, x0: Any, **options: Any) -> None:
        x = arguments.start(x0)
        self._options = {"maxiter": max(1000, 200 * x.size), **arguments.check(self.method, options)}
        self._x0 = x
        self._core = _core.Solver(self.method, x, self._options)

    # ---- the loop ----

    @property
    def done(self) -> bool:
        """Whether it has ended; `result()` then says how."""
        return not self._core.wants

    def ask(self) -> Array:
        """The point at which f and its gradient are wanted: an array of its own."""
        x: Array = self._core.ask()
        return x

    def tell(self, f: float, g: Any) -> None:
        """Say what the objective is at the point of `ask`.

        Args:
            f: The value. One that is not finite tells the solver to stay nearer.
            g: The gradient, of shape (n,).

        Raises:
            TypeError: `f` is no real number, or `g` does not consist of such.
            ValueError: `g` has another shape, or nothing was asked for.
        """
        self._core.tell(f, g)

    def stop(self, status: int = STOPPED) -> None:
        """End, unless it has ended already.

        Args:
            status: What the result then says, default 99: stopped by the callback. See `MinimizeResult`.

        Raises:
            ValueError: There is no such status.
        """
        if status not in MESSAGES or status == RUNNING:
            raise ValueError(
                f"status must be one of {', '.join(str(s) for s in MESSAGES if s != RUNNING)}, got {status!r}"
            )
        if not self.done:
            self._core.stop(status)

    def run(
        self,
        fun: Callable[..., Any],
        jac: Callable[..., Any] | None = None,
        hess: Callable[..., Any] | None = None,
        args: tuple[Any, ...] = (),
        after: Callable[[Array, float], bool] | None = None,
    ) -> None:
        """Ask and tell to the end.

        Args:
            fun: fun(x, *args) returns (f, g), or f where there is a `jac`.
            jac: jac(x, *args) returns g.
            hess: hess(x, *args) returns the Hessian, which Newton's method wants; by default the solver's own.
            args: Passed on.
            after: Called with x and f after each iteration; ends the run if it returns True.
        """
        self._core.drive(fun, jac, self._hessian(hess), args, after)

    def _hessian(self, given: Callable[..., Any] | None) -> Callable[..., Any] | None:
        """The function that gives the Hessian to a method which wants it."""
        return given

    def run_compiled(self, objective: Compiled, after: Callable[[Array, float], bool] | None = None) -> None:
        """Ask and tell to the end, without the GIL but for `after`, which is called as in `run`."""
        self._core.run_compiled(objective.address, objective.user, after)

    # ---- what there is to know ----

    @property
    def nit(self) -> int:
        """The number of iterations."""
        return int(self._core.nit)

    def result(self) -> MinimizeResult:
        """What has been found so far; see `MinimizeResult`."""
        x, f, g, _ = self._core.best()
        if self._core.nfev == 0:
            f, g = math.nan, np.full_like(g, math.nan)
        status = self._core.status
        found = MinimizeResult(
            x=x,
            fun=f,
            jac=g,
            nit=self._core.nit,
            nfev=self._core.nfev,
            njev=self._core.nfev,
            status=status,
            success=status == 0,
            message=MESSAGES[status],
        )
        self._add_to(found)
        return found

    def _add_to(self, found: MinimizeResult) -> None:
        """Adds what only this method knows."""

    # ---- saving and loading ----

    def state_dict(self) -> dict[str, Any]:
        """The state at the beginning of the current iteration: arrays and plain numbers, all copies."""
        return {"solver": type(self).__name__, "state": self._core.state()}

    def load_state_dict(self, state: Mapping[str, Any]) -> None:
        """Continue from a `state_dict` of the same class, n and dtype.

        Raises:
            TypeError: A number or an array has another type.
            ValueError: It is the state of another class or size. Nothing has changed then.
        """
        if not isinstance(state, Mapping):
            raise TypeError(f"state is {type(state).__name__}, expected what state_dict() gives")
        if state.get("solver") != type(self).__name__:
            raise ValueError(f"state['solver'] is {state.get('solver')!r}, expected {type(self).__name__!r}")
        if not isinstance(state.get("state"), dict):
            raise ValueError(f"state['state'] is {state.get('state')!r}, expected what state_dict() gives")
        core = _core.Solver(self.method, self._x0, self._options)
        core.load(state["state"])
        self._core = core

    def __getstate__(self) -> dict[str, Any]:
        """For pickle and copy."""
        own = {name: value for name, value in self.__dict__.items() if name != "_core"}
        return {"own": own, "state": self.state_dict()}

    def __setstate__(self, state: dict[str, Any]) -> None:
        """For pickle and copy."""
        self.__dict__.update(state["own"])
        self.load_state_dict(state["state"])

    def warm_start(self, result: Mapping[str, Any]) -> None:
        """Take over what a former result knows of the curvature, if the method can use it.

        Raises:
            TypeError: It is no result, or that of a method with another kind of knowledge.
            ValueError: It is of another size, or the solver has been told something already.
        """
        if not isinstance(result, Mapping):
            raise TypeError(f"warm_start is {type(result).__name__}, expected a result")
        if self._core.nfev > 0:
            raise ValueError(f"warm_start comes before the first tell, not after {self._core.nfev}")
        self._take_over(result)

    def _take_over(self, result: Mapping[str, Any]) -> None:
        """Takes what this method can use."""
