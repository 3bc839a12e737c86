"""What the tables of tests run over: the registry's rules with options, the built levels, and how a step is called."""

import importlib
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from schuss import _core, reference

RULES = _core.rules()

LEVELS = {name: importlib.import_module(f"schuss._core_{name.replace('-', '_')}") for name in _core.levels_here}


@dataclass(frozen=True)
class Case:
    """A rule with options, and why the table has it."""

    rule: str
    why: str
    options: dict[str, Any] = field(default_factory=dict)

    def __str__(self) -> str:
        return f"{self.rule}-{self.why}".replace(" ", "_")

    @property
    def all_options(self) -> dict[str, Any]:
        return {**RULES[self.rule]["options"], **self.options}

    def states(self, shape: Any, dtype: Any) -> list[np.ndarray | None]:
        """Fresh states, as an optimizer class makes them."""
        options = self.all_options
        return [
            None if needed_by and not options[needed_by] else np.full(shape, options.get(starts_at, 0), dtype)
            for _, needed_by, starts_at in RULES[self.rule]["states"]
        ]

    def reference_step(self, theta: Any, g: Any, states: Any, step: int) -> None:
        counted = {"step": step} if RULES[self.rule]["counts_steps"] else {}
        getattr(reference, self.rule)(theta, g, *states, **counted, **self.options)

    def group(self, thetas: Any, states: Any) -> _core.Group:
        """The group that a core's `step` takes: lists of arrays, one list (or None) for each state."""
        names = ("params", "grads", *(name for name, _, _ in RULES[self.rule]["states"]))
        labels = [f"[{i}]" for i in range(len(thetas))]
        return self.rule, self.all_options, (thetas, *states), names, labels, {}


# Every rule by its defaults in both conventions, and every option at least once.
CASES = [
    *(Case(rule, "book", {}) for rule in RULES),
    *(Case(rule, "torch", {"convention": "torch"}) for rule in RULES if rule != "delta_bar_delta"),
    *(Case(rule, "maximize", {"maximize": True}) for rule in RULES),
    *(Case(rule, "weight decay", {"weight_decay": 0.1, "decoupled_weight_decay": False}) for rule in RULES),
    *(Case(rule, "decoupled decay", {"weight_decay": 0.1, "decoupled_weight_decay": True}) for rule in RULES),
    Case("momentum", "dampening", {"convention": "torch", "dampening": 0.3}),
    Case("nesterov", "changing momentum", {"momentum": 0.5, "look_ahead": 0.9}),
    Case("delta_bar_delta", "strong changes", {"kappa": 0.5, "phi": 0.75, "gamma": 0.1}),
    Case("adagrad", "rate decay", {"convention": "torch", "lr_decay": 0.1}),
    Case("rmsprop", "centered", {"centered": True}),
    Case("rmsprop", "momentum", {"momentum": 0.9}),
    Case("rmsprop", "nesterov", {"momentum": 0.9, "look_ahead": 0.8, "nesterov": True}),
    Case("rmsprop", "all", {"centered": True, "momentum": 0.9, "look_ahead": 0.9, "nesterov": True}),
    Case("rmsprop", "torch centered momentum", {"convention": "torch", "centered": True, "momentum": 0.9}),
    Case("adam", "no epsilon", {"eps": 0.0}),
    Case("adam", "short memory", {"betas": (0.5, 0.5), "lr": 0.1}),
    Case("adamw", "decay by default option", {"weight_decay": 0.1}),
    Case("nadam", "fast warming", {"momentum_decay": 0.5, "betas": (0.5, 0.9)}),
    Case("nadam", "given product", {"convention": "torch", "mu_product": 0.4}),
    Case("radam", "short average", {"betas": (0.9, 0.5)}),
    Case("radam", "rectified", {"betas": (0.5, 0.8), "convention": "torch"}),
    Case("adamax", "no epsilon", {"eps": 0.0}),
    Case("rprop", "narrow", {"etas": (0.25, 2.0), "step_sizes": (0.008, 0.02)}),
    Case("asgd", "late average", {"t0": 1.0, "alpha": 0.5}),
    Case("asgd", "decay", {"convention": "torch", "lambd": 0.1, "t0": 0.0}),
    Case("asgd", "given schedules", {"convention": "torch", "eta": 0.3, "mu": 0.25}),
]

DTYPES = [np.dtype("float32"), np.dtype("float64")]
