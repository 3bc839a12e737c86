"""The update rules as functions, for trainers that keep their own state.

There is one kernel for each rule of the registry, `schuss.kernels.<rule>(theta, g, *states, …)`; `schuss.reference`
has the same functions in NumPy. `help(schuss.kernels.adam)` shows a kernel's states, options and defaults.

Example:
    >>> import numpy as np
    >>> from schuss import kernels
    >>> theta, r = np.array([1.0, -2.0]), np.zeros(2)
    >>> kernels.adagrad(theta, np.array([3.0, -0.5]), r, step=1, lr=0.1)
    >>> theta.round(6), r
    (array([ 0.9, -1.9]), array([9.  , 0.25]))
"""

import inspect
from typing import Any

from schuss import _core, options, threads

DOC = """One step of {name}, in place, by the formula that `schuss.reference.{name}` writes in NumPy.

Source: {source}.

Args:
    theta: The parameters: an array of float32 or float64 of any shape, or a list of such. Updated in place.
    g: The gradient, of the same shape and dtype, or a list. Only read.
{states}{options}
    num_threads: At least 1; by default what `schuss.get_num_threads()` says. The result does not depend on it.

Raises:
    TypeError: An array has another dtype, or an argument another type.
    ValueError: A hyperparameter is out of its range, or an array is read-only, not contiguous, of another shape, or
        overlaps another one. Nothing has been modified then.

Example:
    >>> import numpy as np
    >>> from schuss import kernels
    >>> theta, g{names} = {values}
    >>> kernels.{name}(theta, g{names}{counted})
    >>> bool((theta < 1).all())
    True
"""


def describe(name: str, rule: _core.Rule) -> str:
    """The docstring of a kernel, from what the registry says of its rule."""
    states = [
        f"    {state}: State, like theta, updated in place. Starts at {starts_at or 'zero'}."
        + (f" None without {needed_by}." if needed_by else "")
        for state, needed_by, starts_at in rule["states"]
    ]
    if rule["counts_steps"]:
        states.append("    step: The number of this step, an integer from 1.")
    described = [f"    {option}: {_range(option)}, default {default}." for option, default in rule["options"].items()]
    always = [(state, starts_at) for state, needed_by, starts_at in rule["states"] if not needed_by]
    return DOC.format(
        name=name,
        source=rule["source"],
        states="".join(f"{line}\n" for line in states),
        options="\n".join(described),
        names="".join(f", {state}" for state, _ in always),
        values=", ".join(["np.ones(3)"] * 2 + ["np.full(3, 0.01)" if start else "np.zeros(3)" for _, start in always]),
        counted=", step=1" if rule["counts_steps"] else "",
    )


def _range(option: str) -> str:
    if option == "convention":
        return "'book' or 'torch' (whose formula; the defaults are the book's in both)"
    if option in options.OPTIONAL:
        return f"In {options.RANGES[option]}, {options.OPTIONAL[option]}"
    if option in options.PAIRS:
        first, second = map(str, options.PAIRS[option])
        return f"A pair in {first}" if first == second else f"A pair, in {first} and {second}"
    return f"In {options.RANGES[option]}" if option in options.RANGES else "True or False"


class Kernel:
    """One update rule as a function."""

    def __init__(self, name: str, rule: _core.Rule) -> None:
        self.name, self._rule = name, rule
        self._states = {state: needed_by for state, needed_by, _ in rule["states"]}
        self.__name__ = self.__qualname__ = name
        self.__doc__ = describe(name, rule)
        self.__signature__ = self._make_signature()

    def __repr__(self) -> str:
        return f"<kernel {self.name}{self.__signature__}>"

    def _make_signature(self) -> inspect.Signature:
        position, keyword = inspect.Parameter.POSITIONAL_OR_KEYWORD, inspect.Parameter.KEYWORD_ONLY
        parameters = [inspect.Parameter("theta", position), inspect.Parameter("g", position)]
        for state, needed_by in self._states.items():
            default = None if needed_by else inspect.Parameter.empty
            parameters.append(inspect.Parameter(state, position, default=default))
        if self._rule["counts_steps"]:
            parameters.append(inspect.Parameter("step", keyword))
        for option, default in {**self._rule["options"], "num_threads": None}.items():
            parameters.append(inspect.Parameter(option, keyword, default=default))
        return inspect.Signature(parameters)

    def __call__(self, *args: Any, **kwargs: Any) -> None:
        """Take one step; `__signature__` has the arguments."""
        bound = self.__signature__.bind(*args, **kwargs)
        bound.apply_defaults()
        values = bound.arguments
        arrays = {name: values.pop(name) for name in ("theta", "g", *self._states)}
        num_threads, step = values.pop("num_threads"), values.pop("step", 1)
        values = options.check(values)
        for state, needed_by in self._states.items():
            if arrays[state] is None and (not needed_by or values[needed_by]):
                raise ValueError(f"{state} is None, expected the state that {needed_by or self.name} needs")
        step = threads.check_count("step", step)
        labels, lists = _as_lists(arrays)
        g = lists.pop("g")
        group: _core.Group = (self.name, values, tuple(lists.values()), tuple(arrays), labels, {})
        count = 0 if num_threads is None else threads.check_num_threads(num_threads)
        if not _core.step([group], [g or []], step, count, []):
            raise TypeError("g is stored in fewer bits than theta, expected an array of its dtype")


def _as_lists(arrays: dict[str, Any]) -> tuple[list[str], dict[str, list[Any] | None]]:
    """The arguments as lists of one length, and what an error calls the elements."""
    if not isinstance(arrays["theta"], (list, tuple)):
        return [""], {name: None if array is None else [array] for name, array in arrays.items()}
    lists: dict[str, list[Any] | None] = {}
    for name, array in arrays.items():
        if array is not None and not isinstance(array, (list, tuple)):
            raise TypeError(f"{name} is {type(array).__name__}, expected a list like theta")
        copied = lists[name] = None if array is None else list(array)
        count = len(lists["theta"] or [])
        if copied is not None and len(copied) != count:
            raise ValueError(f"{name} has {len(copied)} arrays, expected {count} like theta")
    return [f"[{i}]" for i in range(count)], lists


_KERNELS = {name: Kernel(name, rule) for name, rule in _core.rules().items()}


def __getattr__(name: str) -> Kernel:
    if name not in _KERNELS:
        raise AttributeError(f"there is no kernel {name!r}, expected one of {', '.join(_KERNELS)}")
    return _KERNELS[name]


def __dir__() -> list[str]:
    return [*_KERNELS, "Kernel"]
