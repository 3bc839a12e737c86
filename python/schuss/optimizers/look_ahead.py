"""Nesterov momentum in the book's convention, where the stored parameters are the look-ahead point θ + αv."""

from typing import Any

import numpy as np

from schuss import _core, options
from schuss.optimizers.base import Array, Optimizer
from schuss.optimizers.layout import Arrays
from schuss.optimizers.phase import Phase


class LookAhead(Optimizer):
    """An optimizer whose groups may use Nesterov momentum.

    Such a group has one more entry, `"look_ahead"`: the α by which its stored parameters look ahead. The next gradient
    is taken there, so the next step uses that α; the momentum of then sets how far the parameters look ahead after it.
    """

    schedulable = ("lr", "momentum")

    def __init__(self, params: Arrays, num_threads: int | None, phase: Phase, **hyper: Any) -> None:
        super().__init__(params, num_threads, phase, **hyper)
        for group, built in zip(self.groups, self._built, strict=True):
            if group["nesterov"] and group["convention"] == "book":
                first = options.at_step(group["momentum"], 0)
                group.update(options.check({"look_ahead": first}))
                built["look_ahead"] = group["look_ahead"]

    def _hyper(self, index: int) -> dict[str, Any]:
        hyper, group = super()._hyper(index), self.groups[index]
        if "look_ahead" not in group:
            return hyper
        after = options.check({"momentum": options.at_step(group["momentum"], self.steps + 1)})["momentum"]
        return options.check({**hyper, "momentum": group["look_ahead"], "look_ahead": after})

    def _plan(self, index: int) -> _core.Group:
        plan = super()._plan(index)
        if "look_ahead" in self.groups[index]:
            self._extras[index]["look_ahead"] = plan[1]["look_ahead"]
        return plan

    def _notes(self) -> list[tuple[dict[str, Any], str, Any]]:
        return [
            (group, "look_ahead", plan[1]["look_ahead"])
            for group, plan in zip(self.groups, self._plans, strict=True)
            if "look_ahead" in group
        ]

    def _thetas(self) -> list[list[Array]]:
        thetas = super()._thetas()
        if self._swapped:  # the average is one of θ itself
            return thetas
        for index, (group, states) in enumerate(zip(self.groups, self._states, strict=True)):
            v = states.decoded("v")
            if "look_ahead" in group and v is not None:
                pairs = zip(thetas[index], v, strict=True)
                thetas[index] = [np.asarray(ahead - group["look_ahead"] * velocity) for ahead, velocity in pairs]
        return thetas
