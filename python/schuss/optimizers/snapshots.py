"""Saving and loading what an optimizer holds."""

from collections.abc import Mapping, Sequence
from typing import Any, ClassVar

import numpy as np
from numpy.typing import NDArray

from schuss import options
from schuss.optimizers import phase as phases
from schuss.optimizers.layout import Layout, kind
from schuss.optimizers.storage import States

Array = NDArray[Any]

FIXED = ("convention", "nesterov", "centered")

COUNTS = ("steps", "skipped", "averaged")


class Snapshots:
    """What of an optimizer is saved and loaded: hyperparameters, counts and state arrays."""

    groups: list[dict[str, Any]]
    phase: dict[str, Any]
    steps: int
    skipped: int
    averaged: int
    fixed: ClassVar[tuple[str, ...]]
    _built: list[dict[str, Any]]
    _swapped: bool  # whether the parameters hold the average
    _layouts: list[Layout]
    _states: list[States]

    def __getstate__(self) -> dict[str, Any]:
        """What copies and pickles have: one that is made while parameters hold their average goes on from there."""
        return {**self.__dict__, "_swapped": False}

    def _refuse_while_swapped(self, what: str) -> None:
        if self._swapped:
            raise ValueError(f"{what} within averaged_params(): params hold the average, expected it to be left first")

    def _checked(self, values: dict[str, Any]) -> dict[str, Any]:
        """Hyperparameters as plain numbers; raises unless they are in their ranges and go together."""
        return options.check(values)

    def _named_states(self) -> dict[str, Array]:
        return {
            f"{path}.{name}": array
            for layout, states in zip(self._layouts, self._states, strict=True)
            for name, arrays in states.named().items()
            for path, array in zip(layout.paths, arrays, strict=True)
        }

    def state_dict(self) -> dict[str, Any]:
        """A snapshot from which `load_state_dict` continues bit for bit; the parameters are not in it.

        Returns:
            `"optimizer"`, the class's name; `"steps"`, `"skipped"` and `"averaged"`, how many there have been;
            `"groups"`, the hyperparameters of each group as numbers, with None for a schedule; `"phase"`, the options
            of all groups; and `"state"`, a flat dict of copies of the state arrays, by names such as `"weight.r"`,
            `"0.r"` or, with groups, `"1.weight.r"`.
        """
        groups = [
            {name: None if callable(value) else value for name, value in group.items() if name != "params"}
            for group in self.groups
        ]
        arrays = {name: array.copy() for name, array in self._named_states().items()}
        counts = {name: getattr(self, name) for name in COUNTS}
        return {
            "optimizer": type(self).__name__,
            **counts,
            "groups": groups,
            "phase": phases.check(self.phase),
            "state": arrays,
        }

    def load_state_dict(self, state: Mapping[str, Any]) -> None:
        """Take over the state and the hyperparameters of a `state_dict`, without casting anything.

        Raises:
            TypeError: An array has another dtype than it has here, or an entry another type.
            ValueError: The snapshot is of another optimizer or other parameters, or has a schedule where this
                optimizer has a number; or `params` hold their average. Nothing has been modified then.
        """
        self._refuse_while_swapped("load_state_dict()")
        own = self._named_states()
        loaded = self._checked_state(state, own)
        for name, array in own.items():
            array[...] = state["state"][name]
        self._take_over(*loaded, state)

    def _checked_state(
        self, state: Mapping[str, Any], own: Mapping[str, Array]
    ) -> tuple[list[dict[str, Any]], dict[str, Any]]:
        """Hyperparameters by group and phase of a snapshot; raises unless it suits this optimizer and its arrays."""
        self._check_form(state)
        loaded = [self._loaded_group(index, group) for index, group in enumerate(state["groups"])]
        phase = self._loaded_phase(state["phase"])
        _check_arrays(own, state["state"])
        return loaded, phase

    def _take_over(self, groups: list[dict[str, Any]], phase: dict[str, Any], counts: Mapping[str, Any]) -> None:
        for group, built, values in zip(self.groups, self._built, groups, strict=True):
            group.update(values)
            built.update({name: values[name] for name in self.fixed})  # the state is now what was made for these
        self.phase.update(phase)
        for name in COUNTS:
            setattr(self, name, int(counts[name]))

    def _check_form(self, state: Mapping[str, Any]) -> None:
        _require(state, "state", Mapping)
        for name in ("optimizer", *COUNTS, "groups", "phase", "state"):
            if name not in state:
                raise ValueError(f"state lacks {name!r}, expected what state_dict() gives")
        if state["optimizer"] != type(self).__name__:
            raise ValueError(f"state['optimizer'] is {state['optimizer']!r}, expected {type(self).__name__!r}")
        for name in COUNTS:
            options.count(f"state[{name!r}]", state[name], least=0)
        for name, form in (("groups", Sequence), ("phase", Mapping), ("state", Mapping)):
            _require(state[name], f"state[{name!r}]", form)
        if len(state["groups"]) != len(self.groups):
            raise ValueError(f"state['groups'] has {len(state['groups'])} entries, expected {len(self.groups)}")

    def _loaded_group(self, index: int, saved: Mapping[str, Any]) -> dict[str, Any]:
        """The hyperparameters that a group has after loading; raises if they do not suit this optimizer."""
        group, where = self.groups[index], f"state['groups'][{index}]"
        values: dict[str, Any] = {}
        _require(saved, where, Mapping)
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

    def _loaded_phase(self, saved: Mapping[str, Any]) -> dict[str, Any]:
        try:
            loaded = phases.check(dict(saved))
        except (TypeError, ValueError) as error:
            raise type(error)(f"state['phase']: {error}") from None
        for name in phases.FIXED:
            if loaded[name] != self.phase[name]:
                raise ValueError(f"state['phase'][{name!r}] is {loaded[name]!r}, expected {self.phase[name]!r}")
        return loaded


def _require(value: Any, name: str, form: type) -> None:
    if not isinstance(value, form):
        raise TypeError(f"{name} is {kind(value)}, expected what state_dict() gives")


def _check_arrays(own: Mapping[str, Array], arrays: Mapping[str, Array]) -> None:
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
