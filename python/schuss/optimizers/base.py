"""What all optimizers share: parameters in lists, dicts or groups, the step, saving and loading."""

import copy
import inspect
from collections.abc import Mapping, Sequence
from typing import Any, ClassVar

import numpy as np
from numpy.typing import NDArray

from schuss import _core, options, threads
from schuss.optimizers.layout import Arrays, Layout, are_groups, kind

Array = NDArray[Any]

RULES = _core.rules()

FIXED = ("convention", "nesterov", "centered")

COMMON = """
Args of every optimizer:
    params: The arrays to optimize: a list, or a dict by name, of float32 or float64 arrays of any shape; or a list
        of groups, each a dict with such `"params"` and with hyperparameters of its own. They are updated in place
        and must be writable, C-contiguous and disjoint. NumPy arrays, torch CPU tensors and whatever else offers its
        memory by `__dlpack__` will do.
    convention: `"book"` (default) or `"torch"`: whose formula and whose defaults to follow.
    weight_decay: λ in [0, ∞), default 0. Adds λθ to the gradient.
    decoupled_weight_decay: Multiply what `params` hold (with the book's Nesterov momentum the look-ahead point) by
        1 - lr·λ before the step, and leave the gradient alone.
    maximize: Ascend instead of descending.
    num_threads: At least 1; by default what `schuss.get_num_threads()` says. Results do not depend on it.

`lr` may be a function of the number of steps taken so far, and so may `momentum` where there is one. Hyperparameters
may be changed between steps through `groups`. The arrays stay the same ones from construction on: give a parameter
new values by `params["w"][...] = values`. Another array in its place is refused.

Raises:
    TypeError: An array has another dtype, or an argument another type.
    ValueError: A hyperparameter is out of its range, or an array is read-only, not contiguous, of another shape, or
        overlaps another one. Nothing has been modified then.
"""


class Optimizer:
    """The base of all optimizers: holds the parameters and their state, and steps them.

    Attributes:
        groups: One dict for each parameter group: `"params"` and the group's hyperparameters, which may be changed
            between steps.
        steps: The number of steps taken.
    """

    schedulable: ClassVar[tuple[str, ...]] = ("lr",)
    fixed: ClassVar[tuple[str, ...]] = ()  # hyperparameters that matter at construction only

    def __init_subclass__(cls) -> None:
        if cls.__module__.startswith("schuss."):
            cls.__doc__ = inspect.cleandoc(cls.__doc__ or "") + "\n" + COMMON

    def __init__(self, params: Arrays, num_threads: int | None, **hyper: Any) -> None:
        convention = hyper.get("convention", "book")
        defaults = {
            name: value.under(convention) if isinstance(value, options.Default) else value
            for name, value in hyper.items()
        }
        self.num_threads = None if num_threads is None else threads.check_num_threads(num_threads)
        self.steps = 0
        self._layouts: list[Layout] = []
        self.groups: list[dict[str, Any]] = []
        self._in_groups = are_groups(params)
        for index, group in enumerate(params if self._in_groups else [{"params": params}]):
            try:
                self._add_group(index, group, defaults)
            except (TypeError, ValueError) as error:
                raise type(error)(f"params[{index}]: {error}" if self._in_groups else str(error)) from None
        self._built = [dict(group) for group in self.groups]
        self._rules = [self._rule(group) for group in self.groups]
        self._begin()

    # ---- construction ----

    def _begin(self) -> None:
        """Make the state and the plans anew."""
        self._states = [self._new_states(index, views) for index, views in enumerate(self._arrays())]
        self._plans = [self._first_plan(index) for index in range(len(self.groups))]
        self._planned: list[dict[str, Any]] = [{} for _ in self.groups]  # the groups as the plans have them
        self._scheduled = [False for _ in self.groups]  # whether a hyperparameter changes by itself

    def _over(self, params: list[list[Array]]) -> "Optimizer":
        """The same optimizer over other arrays, a list of them for each group, with a state of its own."""
        other = copy.copy(self)
        other._in_groups = True
        other._layouts = [Layout(arrays, f"[{i}]", f"{i}.") for i, arrays in enumerate(params)]
        sources = [{"params": layout.source} for layout in other._layouts]
        other.groups = [{**group, **source} for group, source in zip(self.groups, sources, strict=True)]
        other._built = [{**built, **source} for built, source in zip(self._built, sources, strict=True)]
        other._begin()
        return other

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
        """Hyperparameters as plain numbers; raises unless they are in their ranges and go together."""
        for name, value in values.items():
            if callable(value) and name not in self.schedulable:
                raise TypeError(f"{name} must be a number, got {value!r}; schedules are for {self.schedulable}")
        return options.check(values)

    def _arrays(self) -> list[list[Array]]:
        """Views on the parameters, by group; raises unless every one can be updated in place."""
        labels = [layout.where + label for layout in self._layouts for label in layout.labels]
        flat = iter(_core.as_arrays([p for layout in self._layouts for p in layout.params], "params", labels))
        return [[next(flat) for _ in layout.params] for layout in self._layouts]

    def _new_states(self, index: int, params: list[Array]) -> dict[str, list[Array] | None]:
        group = self.groups[index]
        states: dict[str, list[Array] | None] = {}
        for name, needed_by, starts_at in RULES[self._rules[index]]["states"]:
            if needed_by and not group[needed_by]:
                states[name] = None
            else:
                start = group[starts_at] if starts_at else 0
                states[name] = [np.full(p.shape, start, p.dtype) for p in params]
        return states

    def _first_plan(self, index: int) -> _core.Group:
        layout, states = self._layouts[index], self._states[index]
        arguments = ("params" + layout.where, "grads" + layout.where, *states)
        return self._rules[index], {}, (layout.params, *states.values()), arguments, layout.labels

    def _rule(self, group: dict[str, Any]) -> str:
        """The name of the update rule for a group."""
        raise NotImplementedError

    # ---- the step ----

    def step(self, grads: Any) -> None:
        """Update all parameters in place, by one step along their gradients.

        Args:
            grads: One gradient for each parameter, of its shape and dtype, in the form of `params`: a list, a dict
                with the same keys, or for groups a list of these. They are read only, and never kept.

        Raises:
            TypeError: A gradient has another dtype than its parameter, or `grads` is not in the form of `params`.
            ValueError: A gradient is missing, left over, of another shape, not contiguous, or overlaps a parameter;
                or a schedule gave a value out of range. Nothing has been modified then, and the step does not count.
        """
        by_group = self._by_group(grads)
        self._carry_out(self._planned_step(), by_group)

    def _planned_step(self) -> list[_core.Group]:
        """What the core is to do in the step to come; raises if hyperparameters or schedules do not allow it."""
        return [self._plan(index) for index in range(len(self.groups))]

    def _carry_out(self, plan: list[_core.Group], by_group: list[list[Any]]) -> None:
        number = self.steps + 1
        notes = [(self.__dict__, "steps", number), *self._notes()]
        _core.step(plan, by_group, number, self.num_threads or 0, notes)

    def _by_group(self, grads: Any) -> list[list[Any]]:
        if not self._in_groups:
            return [self._layouts[0].flatten(grads)]
        if not isinstance(grads, (list, tuple)):
            raise TypeError(f"grads is {kind(grads)}, expected a list with an entry for each of params' groups")
        if len(grads) != len(self._layouts):
            raise ValueError(f"grads has {len(grads)} entries, expected {len(self._layouts)}, one for each group")
        return [layout.flatten(g) for layout, g in zip(self._layouts, grads, strict=True)]

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

    # ---- what it holds ----

    @property
    def state(self) -> dict[str, Any]:
        """The state arrays by the rule's name for them, each in the form of `params`."""
        names = dict.fromkeys(name for states in self._states for name, arrays in states.items() if arrays is not None)
        return {name: self._in_form([states.get(name) for states in self._states]) for name in names}

    def theta(self) -> Any:
        """Copies of the parameters θ themselves, in the form of `params`.

        With Nesterov momentum in the book's convention `params` hold the look-ahead point θ + αv, at which the next
        gradient is to be taken; this gives θ, which is what to evaluate and to keep. Otherwise the two are equal.
        """
        return self._in_form([[np.array(p) for p in params] for params in self._arrays()])

    def _in_form(self, by_group: Sequence[list[Any] | None]) -> Any:
        """Arrays by group, in the form of `params`, with None for a group that has none."""
        restored = [
            None if arrays is None else layout.restore(list(arrays))
            for layout, arrays in zip(self._layouts, by_group, strict=True)
        ]
        return restored if self._in_groups else restored[0]

    # ---- saving and loading ----

    def _named_states(self) -> dict[str, Array]:
        return {
            f"{path}.{name}": array
            for layout, states in zip(self._layouts, self._states, strict=True)
            for name, arrays in states.items()
            if arrays is not None
            for path, array in zip(layout.paths, arrays, strict=True)
        }

    def state_dict(self) -> dict[str, Any]:
        """A snapshot from which `load_state_dict` continues bit for bit; the parameters are not in it.

        Returns:
            `"optimizer"`, the class's name; `"steps"`; `"groups"`, the hyperparameters of each group as numbers, with
            None for a schedule; and `"state"`, a flat dict of copies of the state arrays, by names such as
            `"weight.r"`, `"0.r"` or, with groups, `"1.weight.r"`.
        """
        groups = [
            {name: None if callable(value) else value for name, value in group.items() if name != "params"}
            for group in self.groups
        ]
        arrays = {name: array.copy() for name, array in self._named_states().items()}
        return {"optimizer": type(self).__name__, "steps": self.steps, "groups": groups, "state": arrays}

    def load_state_dict(self, state: Mapping[str, Any]) -> None:
        """Take over the state and the hyperparameters of a `state_dict`, without casting anything.

        Raises:
            TypeError: An array has another dtype than it has here.
            ValueError: The snapshot is of another optimizer or other parameters, or has a schedule where this
                optimizer has a number. Nothing has been modified then.
        """
        own = self._named_states()
        self._take_over(state, self._checked_state(state, own), own)

    def _checked_state(self, state: Mapping[str, Any], own: Mapping[str, Array]) -> list[dict[str, Any]]:
        """The hyperparameters of a snapshot by group; raises unless it suits this optimizer and its arrays `own`."""
        for name in ("optimizer", "steps", "groups", "state"):
            if name not in state:
                raise ValueError(f"state lacks {name!r}, expected what state_dict() gives")
        if state["optimizer"] != type(self).__name__:
            raise ValueError(f"state['optimizer'] is {state['optimizer']!r}, expected {type(self).__name__!r}")
        if isinstance(state["steps"], bool) or not isinstance(state["steps"], int) or state["steps"] < 0:
            raise ValueError(f"state['steps'] is {state['steps']!r}, expected an integer of at least 0")
        if len(state["groups"]) != len(self.groups):
            raise ValueError(f"state['groups'] has {len(state['groups'])} entries, expected {len(self.groups)}")
        loaded = [self._loaded_group(index, group) for index, group in enumerate(state["groups"])]
        self._check_arrays(own, state["state"])
        return loaded

    def _take_over(self, state: Mapping[str, Any], groups: list[dict[str, Any]], own: Mapping[str, Array]) -> None:
        for name, array in own.items():
            array[...] = state["state"][name]
        for group, values in zip(self.groups, groups, strict=True):
            group.update(values)
        self.steps = state["steps"]

    def _check_arrays(self, own: Mapping[str, Array], arrays: Mapping[str, Array]) -> None:
        if own.keys() != arrays.keys():
            name = min(own.keys() ^ arrays.keys())
            raise ValueError(f"state['state'] {'lacks' if name in own else 'has the unexpected'} array {name!r}")
        for name, array in own.items():
            where = f"state['state'][{name!r}]"
            if not isinstance(arrays[name], np.ndarray):
                raise TypeError(f"{where} is {kind(arrays[name])}, expected a NumPy array")
            if arrays[name].dtype != array.dtype:
                raise TypeError(f"{where} has dtype {arrays[name].dtype}, expected {array.dtype}")
            if arrays[name].shape != array.shape:
                raise ValueError(f"{where} has shape {arrays[name].shape}, expected {array.shape}")

    def _loaded_group(self, index: int, saved: Mapping[str, Any]) -> dict[str, Any]:
        """The hyperparameters that a group has after loading; raises if they do not suit this optimizer."""
        group, where = self.groups[index], f"state['groups'][{index}]"
        values: dict[str, Any] = {}
        if saved.keys() != group.keys() - {"params"}:
            name = min(saved.keys() ^ (group.keys() - {"params"}))
            raise ValueError(f"{where} {'lacks' if name in group else 'has the unknown'} {name!r}")
        for name, value in saved.items():
            if value is None and not callable(group[name]):
                raise ValueError(f"{where}[{name!r}] was a schedule when it was saved, expected it to be one here too")
            if name in FIXED and value != group[name]:
                raise ValueError(f"{where}[{name!r}] is {value!r}, expected {group[name]!r}")
            values[name] = group[name] if value is None else value
        return self._checked(values)
