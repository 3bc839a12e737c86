"""What all optimizers share: parameters in lists, dicts or groups, the step and what is done around it."""

import copy
import inspect
from collections.abc import Mapping
from typing import Any, ClassVar

from numpy.typing import NDArray

from schuss import _core, options, threads
from schuss.optimizers import phase as phases
from schuss.optimizers.holdings import Holdings
from schuss.optimizers.layout import Arrays, Layout, are_groups
from schuss.optimizers.snapshots import FIXED
from schuss.optimizers.storage import States

Array = NDArray[Any]

RULES = _core.rules()

COMMON = """
Args of every optimizer:
    params: The arrays to optimize: a list, or a dict by name, of float32, float64, bfloat16 or float16 arrays of any
        shape; or a list of groups, each a dict with such `"params"` and with hyperparameters of its own. They are
        updated in place and must be writable, C-contiguous and disjoint. NumPy arrays (with ml_dtypes' bfloat16),
        torch CPU tensors and whatever else offers its memory by `__dlpack__` will do. All but float64 parameters are
        computed with in float32.
    convention: `"book"` (default) or `"torch"`: whose formula and whose defaults to follow.
    weight_decay: λ in [0, ∞), default 0. Adds λθ to the gradient.
    decoupled_weight_decay: Multiply what `params` hold (with the book's Nesterov momentum the look-ahead point) by
        1 - lr·λ before the step, and leave the gradient alone.
    maximize: Ascend instead of descending.
    num_threads: At least 1; by default what `schuss.get_num_threads()` says. Results do not depend on it.

What a step does around the rule, in the same pass over memory; `opt.phase` has these options and they may be changed
there, but for `average`, `state_dtype` and `copies`:
    grad_scale: What the gradients have been multiplied with, in (0, ∞), default 1; they are divided by it.
    clip_norm: c in (0, ∞], default None: all gradients together are scaled to g·min(1, c/‖g‖), torch's convention
        with ‖g‖ + 1e-6. ‖g‖, before clipping, is then in `opt.grad_norm`; ∞ measures and does not clip.
    clip_value: In (0, ∞), default None: each value of the gradient, scaled by then, is brought to within ± this.
    skip_nonfinite: Leave a step out, as if it had not been asked for, if ‖g‖ is infinite or NaN, and count it in
        `opt.skipped`.
    zero_grad: Set the gradients to zero when they have been used; they must be writable then.
    average: Average the parameters over the steps: `"uniform"`, θ̂ = 1/t·Σθ, or `"ema"`, θ̂ ← αθ̂ + (1 - α)θ (torch's
        convention: θ̂ + (1 - α)(θ - θ̂)) with α = `average_decay` in [0, 1), default 0.999; both begin with the first
        step's θ. `opt.average()` gives it, `with opt.averaged_params():` puts it into the parameters for a while.
    state_dtype: What the state is stored in: None (default) for the type computed in, `"float32"`, `"bfloat16"` (held
        as its bits, uint16), or `"uint8"`: codes of 8 bits with a scale for every 256 values.
    copies: bfloat16 or float16 arrays in the form of `params`, into which each step writes the new parameters.
    rounding: Of parameters and states that are stored in fewer bits: `"stochastic"` (default), to one of the two
        neighbours by chance with the value as the mean, or `"nearest"`. Copies are rounded to the nearest.
    seed: Of that chance, an integer in [0, 2⁶²], default 0. The bits depend on it, the step, the tensor and the place.

`lr` may be a function of the number of steps taken so far, and so may `momentum` where there is one. Hyperparameters
may be changed between steps through `groups`. The arrays stay the same ones from construction on: give a parameter
new values by `params["w"][...] = values`. Another array in its place is refused. Different optimizers may be stepped by
different threads at once; one optimizer is stepped by one thread at a time.

Raises:
    TypeError: An array has another dtype, or an argument another type.
    ValueError: A hyperparameter is out of its range, or an array is read-only, not contiguous, of another shape, or
        overlaps another one. Nothing has been modified then.
"""


class Optimizer(Holdings):
    """The base of all optimizers: holds the parameters and their state, and steps them.

    Attributes:
        groups: One dict for each parameter group: `"params"` and the group's hyperparameters, which may be changed
            between steps.
        phase: The options of what is done around the update rule, which may be changed between steps.
        steps: The number of steps taken.
        skipped: The number of steps left out because the gradients were not finite.
        averaged: The number of points in the average.
        grad_norm: The norm of all gradients of the last step together, unscaled and not yet clipped; None until it has
            been measured, which `clip_norm` and `skip_nonfinite` ask for.
    """

    schedulable: ClassVar[tuple[str, ...]] = ("lr",)
    fixed: ClassVar[tuple[str, ...]] = ()  # hyperparameters that matter at construction only

    def __init_subclass__(cls) -> None:
        if cls.__module__.startswith("schuss."):
            cls.__doc__ = inspect.cleandoc(cls.__doc__ or "") + "\n" + COMMON

    def __init__(self, params: Arrays, num_threads: int | None, phase: phases.Phase, **hyper: Any) -> None:
        convention = hyper.get("convention", "book")
        defaults = {
            name: value.under(convention) if isinstance(value, options.Default) else value
            for name, value in hyper.items()
        }
        self.num_threads = None if num_threads is None else threads.check_num_threads(num_threads)
        self.steps = self.skipped = self.averaged = 0
        self.grad_norm: float | None = None
        own: dict[str, Any] = {name: value for name, value in phase.items() if name != "copies"}
        self.phase = phases.check({**phases.DEFAULTS, **own})
        self._layouts: list[Layout] = []
        self.groups: list[dict[str, Any]] = []
        self._in_groups = are_groups(params)
        for index, group in enumerate(params if self._in_groups else [{"params": params}]):
            try:
                self._add_group(index, group, defaults)
            except (TypeError, ValueError) as error:
                raise type(error)(f"params[{index}]: {error}" if self._in_groups else str(error)) from None
        self._built = [dict(group) for group in self.groups]
        self._built_phase = dict(self.phase)
        self._rules = [self._rule(group) for group in self.groups]
        self._begin(phase.get("copies"))

    # ---- construction ----

    def _begin(self, copies: Any = None) -> None:
        """Make the state and the plans anew."""
        self._states = self._new_states()
        self._extras = self._first_extras(copies)
        self._plans = [self._first_plan(index) for index in range(len(self.groups))]
        self._planned: list[dict[str, Any]] = [{} for _ in self.groups]  # the groups as the plans have them
        self._scheduled = [False for _ in self.groups]  # whether a hyperparameter changes by itself
        self._asked: dict[str, Any] = {}  # the phase as the request has it
        self._request: dict[str, Any] | None = None  # what is to be done around the rule, if anything
        self._swapped = False  # whether the parameters hold the average

    def _over(self, params: list[list[Array]]) -> "Optimizer":
        """The same optimizer over other arrays, a list of them for each group, with a state of its own."""
        other = copy.copy(self)
        other._in_groups = True
        other._layouts = [Layout(arrays, f"[{i}]", f"{i}.") for i, arrays in enumerate(params)]
        sources = [{"params": layout.source} for layout in other._layouts]
        other.groups = [{**group, **source} for group, source in zip(self.groups, sources, strict=True)]
        other._built = [{**built, **source} for built, source in zip(self._built, sources, strict=True)]
        other.phase = dict(self.phase)
        other._begin()
        return other

    def _new_states(self) -> list[States]:
        arrays, self._dtypes = self._memory()
        return [
            States(RULES[rule], group, views, dtypes, self.phase)
            for rule, group, views, dtypes in zip(self._rules, self.groups, arrays, self._dtypes, strict=True)
        ]

    def _add_group(self, index: int, group: Mapping[str, Any], defaults: dict[str, Any]) -> None:
        unknown = [name for name in group if name != "params" and name not in defaults]
        if unknown:
            raise TypeError(f"unknown option {unknown[0]!r}, expected {', '.join(defaults)}")
        if "convention" in group and group["convention"] != defaults["convention"]:
            raise ValueError(f"convention is {group['convention']!r}, expected one for all groups")
        where, prefix = (f"[{index}]", f"{index}.") if self._in_groups else ("", "")
        layout = Layout(group["params"], where, prefix)
        values = {**defaults, **{name: value for name, value in group.items() if name != "params"}}
        self._layouts.append(layout)
        self.groups.append({"params": layout.source, **self._checked(values)})

    def _checked(self, values: dict[str, Any]) -> dict[str, Any]:
        for name, value in values.items():
            if callable(value) and name not in self.schedulable:
                raise TypeError(f"{name} must be a number, got {value!r}; schedules are for {self.schedulable}")
        return options.check(values)

    def _first_extras(self, copies: Any) -> list[dict[str, Any]]:
        """What the groups have beside parameters and states: scales, averages and copies."""
        by_group = [None] * len(self.groups) if copies is None else self._checked_copies(copies)
        extras = []
        for states, own in zip(self._states, by_group, strict=True):
            velocity = list(states.stored).index("v") if "v" in states.stored else 0
            scales = tuple(states.scales.values())
            extras.append({"scales": scales, "averages": states.averages, "copies": own, "velocity": velocity})
        return extras

    def _checked_copies(self, copies: Any) -> list[Any]:
        """Copies by group; raises unless each suits its parameter."""
        by_group = self._by_group(copies, "copies")
        for layout, own, dtypes in zip(self._layouts, by_group, self._dtypes, strict=True):
            arrays, formats = _core.as_arrays(own, "copies" + layout.where, layout.labels)
            for array, found, dtype, p, label in zip(
                arrays, formats, dtypes, layout.params, layout.labels, strict=True
            ):
                name = f"copies{layout.where}{label}"
                if dtype != "float64" and found not in ("bfloat16", "float16"):
                    raise TypeError(f"{name} has dtype {found}, expected bfloat16 or float16")
                if array.shape != tuple(p.shape):
                    raise ValueError(f"{name} has shape {array.shape}, expected {tuple(p.shape)} like params{label}")
        return by_group

    def _first_plan(self, index: int) -> _core.Group:
        layout, states = self._layouts[index], self._states[index].stored
        arguments = ("params" + layout.where, "grads" + layout.where, *states)
        arrays = (layout.params, *states.values())
        return self._rules[index], {}, arrays, arguments, layout.labels, self._extras[index]

    def _rule(self, group: dict[str, Any]) -> str:
        """The name of the update rule for a group."""
        raise NotImplementedError

    # ---- the step ----

    def step(self, grads: Any) -> None:
        """Update all parameters in place, by one step along their gradients.

        Args:
            grads: One gradient for each parameter, of its shape, in the form of `params`: a list, a dict with the same
                keys, or for groups a list of these. float64 for parameters of that type, and float32, bfloat16 or
                float16 for all others. They are read only (but for `zero_grad`), and never kept.

        Raises:
            TypeError: A gradient has another dtype than its parameter, or `grads` is not in the form of `params`.
            ValueError: A gradient is missing, left over, of another shape, not contiguous, or overlaps a parameter;
                or a schedule gave a value out of range. Nothing has been modified then, and the step does not count.
        """
        self._refuse_while_swapped("step()")
        by_group = self._by_group(grads, "grads")
        self._carry_out(self._planned_step(), by_group, self._requested())

    def _planned_step(self) -> list[_core.Group]:
        """What the core is to do in the step to come; raises if hyperparameters or schedules do not allow it."""
        return [self._plan(index) for index in range(len(self.groups))]

    def _carry_out(self, plan: list[_core.Group], by_group: list[list[Any]], request: dict[str, Any] | None) -> bool:
        """Take the step; False if it was left out because the gradients were not finite."""
        number, own = self.steps + 1, self.__dict__
        notes = [(own, "steps", number), *self._notes()]
        if request is None:
            if _core.step(plan, by_group, number, self.num_threads or 0, notes):
                return True
            request = self._request = phases.request(self.phase, self.groups[0]["convention"])
        if self.phase["average"]:
            notes.append((own, "averaged", self.averaged + 1))
            request["averaged"] = self.averaged
        if_skipped = [(own, "skipped", self.skipped + 1)]
        return _core.step_phase(plan, by_group, number, self.num_threads or 0, notes, request, own, if_skipped)

    def _requested(self) -> dict[str, Any] | None:
        """What the core is to do around the rule, or None for nothing; made anew only if an option has changed."""
        if self.phase != self._asked:
            phase = phases.check(self.phase)
            for name in phases.FIXED:
                if phase[name] != self._built_phase[name]:
                    raise ValueError(
                        f"phase[{name!r}] is {phase[name]!r}, expected {self._built_phase[name]!r}: "
                        f"the state was made for it at construction"
                    )
            plain = all(dtype in ("float32", "float64") for dtypes in self._dtypes for dtype in dtypes)
            copies = any(extras["copies"] for extras in self._extras)
            rule_alone = plain and not copies and phases.asks_for_nothing(phase)
            self._request = None if rule_alone else phases.request(phase, self.groups[0]["convention"])
            self.phase.update(phase)
            self._asked = dict(self.phase)
        return self._request

    def _plan(self, index: int) -> _core.Group:
        """What the core is to do with a group; made anew only if a hyperparameter has changed."""
        group = self.groups[index]
        self._layouts[index].check_source()
        if group.get("params") is not self._layouts[index].source:
            raise ValueError(f"groups[{index}]['params'] is not what it was at construction: it cannot be replaced")
        if group != self._planned[index] or self._scheduled[index]:
            self._check_unchanged(index)
            self._plans[index] = (self._rules[index], self._hyper(index), *self._plans[index][2:])
            self._planned[index] = dict(group)
        return self._plans[index]

    def _hyper(self, index: int) -> dict[str, Any]:
        """The hyperparameters of a group as numbers, for the step to come."""
        group = self.groups[index]
        values = self._checked({name: value for name, value in group.items() if name != "params"})
        group.update(values)
        self._scheduled[index] = any(map(callable, values.values()))
        now = {name: options.at_step(value, self.steps) for name, value in values.items()}
        return options.check(now) if self._scheduled[index] else now

    def _check_unchanged(self, index: int) -> None:
        """Raise if a group has been changed in a way for which its states are not made."""
        now, built = self.groups[index], self._built[index]
        odd = now.keys() ^ built.keys()
        if odd:
            name = min(odd)
            raise ValueError(f"groups[{index}] {'has the unknown' if name in now else 'lacks the'} option {name!r}")
        names = [name for name in (*FIXED, *self.fixed) if now.get(name) != built.get(name)]
        if now.get("momentum") and not built["momentum"]:
            names.append("momentum")
        if names:
            raise ValueError(
                f"groups[{index}][{names[0]!r}] is {now[names[0]]!r}, "
                f"expected {built[names[0]]!r}: the state was made for it at construction"
            )

    def _notes(self) -> list[tuple[dict[str, Any], str, Any]]:
        """What a class notes, as (dict, key, value), when a step has been taken."""
        return []
