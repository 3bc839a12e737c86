"""One class for each optimizer: which rule steps it, and what torch calls its states and options."""

import torch

from schuss.torch.base import DropIn, Group

Clock = tuple[float, ...]


class SGD(DropIn, torch.optim.SGD):  # noqa: D101, its docstring comes from its rule
    ours, rule, scalars = "SGD", "sgd", ()
    states = ("momentum_buffer",)

    def _rule(self, group: Group) -> tuple[str, tuple[str | None, ...]]:
        if not group["momentum"]:
            return "sgd", ()
        return "nesterov" if group["nesterov"] else "momentum", self.states

    def _order(self, group: Group, clock: Clock) -> tuple[Group, float, Clock]:
        # A first step, in which the buffer becomes the gradient, is left to torch.
        return {**group, "convention": "torch"}, 2, ()


class Adam(DropIn, torch.optim.Adam):  # noqa: D101
    ours, rule = "Adam", "adam"
    states = ("exp_avg", "exp_avg_sq")


class AdamW(DropIn, torch.optim.AdamW):  # noqa: D101
    ours, rule = "AdamW", "adamw"
    states = ("exp_avg", "exp_avg_sq")


class NAdam(DropIn, torch.optim.NAdam):  # noqa: D101
    ours, rule = "NAdam", "nadam"
    states, scalars = ("exp_avg", "exp_avg_sq"), ("step", "mu_product")

    def _order(self, group: Group, clock: Clock) -> tuple[Group, float, Clock]:
        step = clock[0] + 1
        mu = group["betas"][0] * (1 - 0.5 * 0.96 ** (step * group["momentum_decay"]))
        product = clock[1] * mu
        return {**group, "convention": "torch", "mu_product": product}, step, (step, product)


class RAdam(DropIn, torch.optim.RAdam):  # noqa: D101
    ours, rule = "RAdam", "radam"
    states = ("exp_avg", "exp_avg_sq")


class Adamax(DropIn, torch.optim.Adamax):  # noqa: D101
    ours, rule = "Adamax", "adamax"
    states = ("exp_avg", "exp_inf")


class Adagrad(DropIn, torch.optim.Adagrad):  # noqa: D101
    ours, rule = "AdaGrad", "adagrad"
    states = ("sum",)


class RMSprop(DropIn, torch.optim.RMSprop):  # noqa: D101
    ours, rule = "RMSProp", "rmsprop"
    states = ("square_avg", "grad_avg", "momentum_buffer")

    def _rule(self, group: Group) -> tuple[str, tuple[str | None, ...]]:
        centered, momentum = group["centered"], group["momentum"] > 0
        return self.rule, ("square_avg", "grad_avg" if centered else None, "momentum_buffer" if momentum else None)

    def _order(self, group: Group, clock: Clock) -> tuple[Group, float, Clock]:
        options, step, after = super()._order(group, clock)
        return {**options, "rho": group["alpha"]}, step, after


class Adadelta(DropIn, torch.optim.Adadelta):  # noqa: D101
    ours, rule = "AdaDelta", "adadelta"
    states = ("square_avg", "acc_delta")


class Rprop(DropIn, torch.optim.Rprop):  # noqa: D101
    ours, rule = "Rprop", "rprop"
    states = ("step_size", "prev")


class ASGD(DropIn, torch.optim.ASGD):  # noqa: D101
    ours, rule = "ASGD", "asgd"
    states, scalars = ("ax",), ("step", "eta", "mu")

    def _order(self, group: Group, clock: Clock) -> tuple[Group, float, Clock]:
        step, eta, mu = clock[0] + 1, *clock[1:]
        next_eta = group["lr"] / (1 + group["lambd"] * group["lr"] * step) ** group["alpha"]
        next_mu = 1 / max(1.0, step - group["t0"])
        return {**group, "convention": "torch", "eta": eta, "mu": mu}, step, (step, next_eta, next_mu)
