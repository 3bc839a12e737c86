"""Nesterov momentum in the book's convention, where the stored parameters are the look-ahead point θ + αv."""

from typing import Any

import numpy as np

from schuss.optimizers.base import Optimizer


class LookAhead(Optimizer):
    """An optimizer whose groups may use Nesterov momentum.

    Such a group has one more entry, `"look_ahead"`: the α by which its stored parameters look ahead. The next gradient
    is taken there, so the next step uses that α; the momentum of then sets how far the parameters look ahead after it.
    """

    schedulable = ("lr", "momentum")

    def __init__(self, params: Any, num_threads: int | None, **hyper: Any) -> None:
        super().__init__(params, num_threads, **hyper)
        for group in self.groups:
            if group["nesterov"] and group["convention"] == "book":
                group["look_ahead"] = _at(group["momentum"], 0)

    def _check_group(self, values: dict[str, Any]) -> None:
        super()._check_group(values)
        if values["nesterov"] and not values["momentum"]:
            raise ValueError(f"nesterov=True needs a momentum in (0, 1), got momentum={values['momentum']!r}")
        if values["nesterov"] and values.get("dampening"):
            raise ValueError(f"nesterov=True goes with dampening=0 only, got dampening={values['dampening']!r}")

    def _hyper(self, index: int) -> dict[str, Any]:
        hyper, group = super()._hyper(index), self.groups[index]
        if "look_ahead" not in group:
            return hyper
        return {**hyper, "momentum": group["look_ahead"], "look_ahead": _at(group["momentum"], self.steps + 1)}

    def _after_step(self) -> None:
        for group, plan in zip(self.groups, self._plans, strict=True):
            if "look_ahead" in group:
                group["look_ahead"] = plan[1]["look_ahead"]

    def theta(self) -> Any:  # noqa: D102, inherits its docstring
        thetas = self._arrays()
        for index, group in enumerate(self.groups):
            v = self._states[index].get("v")
            if "look_ahead" in group and v is not None:
                pairs = zip(thetas[index], v, strict=True)
                thetas[index] = [np.asarray(ahead - group["look_ahead"] * velocity) for ahead, velocity in pairs]
            else:
                thetas[index] = [np.array(p) for p in thetas[index]]
        return self._in_form(thetas)


def _at(momentum: Any, step: int) -> Any:
    return momentum(step) if callable(momentum) else momentum
