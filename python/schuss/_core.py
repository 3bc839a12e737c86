"""The compiled core, in the build for the best instruction-set level that this machine runs."""

import importlib
import os
from collections.abc import Callable
from typing import Any, TypedDict

import numpy as np
from numpy.typing import NDArray

from schuss import _isa


class Rule(TypedDict):
    """What the registry says of an update rule."""

    source: str
    counts_steps: bool  # whether its formula depends on the number of the step
    states: tuple[tuple[str, str, str], ...]  # name, the option that needs it or "", the option it starts at or ""
    positive: tuple[str, ...]  # the states that are never below zero
    options: dict[str, Any]  # the defaults


Group = tuple[
    str,  # the rule
    dict[str, Any],  # its options
    tuple[list[Any] | None, ...],  # the arrays: the parameters and each state
    tuple[str, ...],  # what errors call those lists, with the gradients in second place
    list[str],  # and what they call the elements: "[0]", …
    dict[str, Any],  # scales, averages, copies and the like, for a step with all that is around it
]

Moved = tuple[
    str,  # what errors call the arrays
    str,  # how a step moves each: "r", "rr", "w", "rw" or "rrw", the first of two readings in a pass before
    list[Any],  # the arrays, one for each parameter: as many values, or one for every 256, as the scales of codes are
]

Notes = list[tuple[dict[str, Any], str, Any]]  # (dict, key, value), to be noted when a step is done


def choose_level(forced: str | None, built: list[str], runs: list[str]) -> tuple[str, str]:
    """The instruction-set level to load and the reason for it.

    `built` and `runs` list the levels the package was built for and those that run here, lowest first; `forced` is
    the value of the environment variable SCHUSS_ISA, or None. Raises ImportError if it cannot be followed.
    """
    if forced:
        if forced not in built:
            raise ImportError(f"SCHUSS_ISA={forced!r} is no level of this build, expected one of {', '.join(built)}")
        if forced not in runs:
            raise ImportError(f"SCHUSS_ISA={forced!r} does not run on this machine, which has {', '.join(runs)}")
        return forced, "forced by SCHUSS_ISA"
    if not runs:
        raise ImportError(f"this processor runs none of the levels of this build: {', '.join(built)}")
    return runs[-1], f"the highest of {', '.join(built)} that this processor and operating system run"


levels_built = _isa.built()
levels_here = [level for level in levels_built if _isa.runs(level)]
level, level_reason = choose_level(os.environ.get("SCHUSS_ISA"), levels_built, levels_here)

_core = importlib.import_module(f"schuss._core_{level.replace('-', '_')}")

version: str = _core.version
compiler: str = _core.compiler
openmp_version: str = _core.openmp_version  # "" where the build has no OpenMP

rules: Callable[[], dict[str, Rule]] = _core.rules
# The groups, their gradients, the number of the step, of threads, and what to note where when it is done. False, and
# nothing is done, if a gradient is in fewer bits than its parameter.
step: Callable[[list[Group], list[list[Any]], int, int, Notes], bool] = _core.step
# Likewise, then what to do around the rule, where to note the norm, and what to note if the step is left out.
step_phase: Callable[[list[Group], list[list[Any]], int, int, Notes, dict[str, Any], dict[str, Any], Notes], bool] = (
    _core.step_phase
)
as_arrays: Callable[[list[Any], str, list[str]], tuple[list[NDArray[Any]], list[str]]] = _core.as_arrays
encode: Callable[[NDArray[Any], NDArray[Any], NDArray[Any] | None, bool], None] = _core.encode  # values, stored, scales
decode: Callable[[NDArray[Any], NDArray[Any] | None, bool, NDArray[Any]], None] = _core.decode  # stored, …, values
# For every 4096 values of each array, the sum of their squares times a power of two: arrays, power, num_threads
square_sums: Callable[[list[NDArray[Any]], float, int], NDArray[np.float64]] = _core.square_sums
# What a step moves, what errors call the elements of the lists, and the number of threads.
move: Callable[[list[Moved], list[str], int], None] = _core.move
# A step of a torch optimizer: types, table, and the address of the function behind it; begin(), add(rule, states,
# scalars, params, grads, state), run(orders, num_threads)
TorchStep: Any = _core.TorchStep

batch_norm: Callable[..., tuple[Any, NDArray[Any], NDArray[Any]]] = _core.batch_norm
batch_norm_backward: Callable[..., Any] = _core.batch_norm_backward
batch_moments: Callable[[Any, Any, int, int], tuple[int, NDArray[Any], NDArray[Any]]] = _core.batch_moments
move_in_passes: Callable[[Any, Any, Any, bool, int], None] = _core.move_in_passes  # x, dy, out, first_pass, num_threads
Solver: Any = _core.Solver  # a minimisation: method, x0, options; see minimizers/solvers.py
methods: Callable[[], dict[str, float]] = _core.methods  # each with its Wolfe constant c₂
# Method, starts, options, the objective as an address with user data or as a function, and where x, fun, jac, nit, … go
batch_compiled: Callable[[str, NDArray[Any], dict[str, Any], int, int, dict[str, Any]], None] = _core.batch_compiled
batch_lock_step: Callable[[str, NDArray[Any], dict[str, Any], Any, dict[str, Any]], None] = _core.batch_lock_step
# φ, the first step, which search, c1, c2; the step, the number of evaluations, whether it fulfils the conditions
line_search: Callable[[Any, float, str, float, float], tuple[float, int, bool]] = _core.line_search
rewrite: Callable[[NDArray[Any], int], None] = _core.rewrite  # an array of float64, number of threads
rosenbrock: Callable[[bool], int] = _core.rosenbrock  # the address of a compiled objective, of float32 or not

bfgs_update: Callable[[Any, Any, Any, int], None] = _core.bfgs_update
newton_direction: Callable[[Any, Any, float, str, float], tuple[NDArray[Any], float]] = _core.newton_direction
cg: Callable[[Any, Any, Any, float, int, int], tuple[NDArray[Any], int, float, bool]] = _core.cg

# X, y, the coefficients, α, ρ, whether there is an intercept, tol, maxiter, threads, where rounds go, the callback
elastic_net: Callable[..., int] = _core.elastic_net
# X, the dictionary, the codes, four arrays of what is known of each sample, α, tol, maxiter, number of threads
sparse_encode: Callable[..., None] = _core.sparse_encode
# X, the codes, the dictionary, the decrease that ends it, passes at most, number of threads
update_dictionary: Callable[[Any, Any, Any, float, int, int], int] = _core.update_dictionary
residual_squares: Callable[[Any, Any, Any, int], NDArray[Any]] = _core.residual_squares  # X, codes, dictionary, threads
# A, b, x, α, the violation that ends it, maxiter, where rounds go, callback
coordinate_descent: Callable[..., int] = _core.coordinate_descent

set_num_threads: Callable[[int], None] = _core.set_num_threads
get_num_threads: Callable[[], int] = _core.get_num_threads
openmp_limit: Callable[[], int] = _core.openmp_limit
after_fork_in_child: Callable[[], None] = _core.after_fork_in_child
