"""What the drop-ins share: a step by the kernels where they cover it, and by torch elsewhere."""

import ctypes
import inspect
from collections.abc import Callable
from pathlib import Path
from typing import Any, ClassVar

import torch
from torch.optim import Optimizer
from torch.optim import optimizer as hooks

from schuss import _core

Group = dict[str, Any]

RULES = _core.rules()

PLAIN = (torch.Tensor, torch.nn.Parameter)  # the types whose memory is all that there is to them

TABLE = getattr(torch.Tensor, "__dlpack_c_exchange_api__", None)  # torch 2.13 and newer


def _address_of_describe() -> int:
    """Where torch has the function that the table's one calls with the C++ tensor; 0 if it is not to be found."""
    try:
        library = ctypes.CDLL(str(Path(torch.__file__).parent / "lib" / "libtorch_cpu.so"))
        function = library["_ZN2at17toDLPackNonOwningERKNS_6TensorEP8DLTensor"]
    except (OSError, AttributeError):
        return 0
    return ctypes.cast(function, ctypes.c_void_p).value or 0


DESCRIBE = _address_of_describe()

LEFT_TO_TORCH = ("amsgrad", "capturable", "differentiable", "fused")

DOC = """A drop-in for `torch.optim.{name}`: the same arguments, state and results, stepped by fused kernels.

Formula: that of `schuss.{ours}` with `convention="torch"`; it differs from torch's by rounding only.

All parameters of all groups are updated in one pass, if parameters, gradients and state are dense float32 or float64
tensors on the CPU of the same layout (`DTensor`s: what they hold on this rank). A group with anything else (sparse or
complex tensors, other devices and dtypes, a tensor as `lr`, `amsgrad`, `capturable`, `differentiable`, `fused`) is
stepped by torch. Either way `state_dict()` is torch's, and can be loaded there.

Args:
    As `torch.optim.{name}`; `foreach` makes no difference.

Source: {source}

Example:
    >>> import torch, schuss.torch
    >>> weight = torch.nn.Parameter(torch.ones(3))
    >>> opt = schuss.torch.{name}([weight], lr=0.125)
    >>> weight.sum().backward()
    >>> opt.step()
    >>> bool((weight < 1).all())
    True
"""


class DropIn(Optimizer):
    """The base of the drop-ins; the class of torch is the second one."""

    ours: ClassVar[str]  # the class of schuss with the same formula
    rule: ClassVar[str]
    states: ClassVar[tuple[str | None, ...]]  # torch's names of the rule's states
    scalars: ClassVar[tuple[str, ...]] = ("step",)  # and of the tensors of one element

    peer: ClassVar[type[Optimizer]]
    param_groups: list[Group]
    _kernels: Any

    def __init_subclass__(cls, **arguments: Any) -> None:
        super().__init_subclass__(**arguments)
        if cls.__module__.startswith("schuss."):
            cls.peer = next(base for base in cls.__mro__ if base.__module__.startswith("torch.optim."))
            cls.__doc__ = DOC.format(name=cls.__name__, ours=cls.ours, source=RULES[cls.rule]["source"])

    # ---- what a class says of its rule ----

    def _rule(self, group: Group) -> tuple[str, tuple[str | None, ...]] | None:
        """The rule that steps a group and torch's names of its states; None if there is no such rule."""
        return self.rule, self.states

    def _order(self, group: Group, clock: tuple[float, ...]) -> tuple[Group, float, tuple[float, ...]]:
        """The options of the rule, the number of the step, and the scalars after it, from those before it."""
        return {**group, "convention": "torch"}, clock[0] + 1, (clock[0] + 1,)

    # ---- the step ----

    def step(self, closure: Callable[[], Any] | None = None) -> Any:
        """Take a step; the result is the closure's, which computes the loss and the gradients anew."""
        if not self._is_watched():
            return self._step(closure)
        return self._watched_step() if closure is None else self._watched_step(closure)

    step.hooked = True  # type: ignore[attr-defined]  # torch's wrapper, which is slow, is put on only when it matters

    def _is_watched(self) -> bool:
        """Whether hooks or a profiler want to know; those of a subclass with its own step have been told by torch."""
        return type(self).step is DropIn.step and bool(
            self._optimizer_step_pre_hooks
            or self._optimizer_step_post_hooks
            or hooks._global_optimizer_pre_hooks
            or hooks._global_optimizer_post_hooks
            or torch.autograd.profiler._is_profiler_enabled
        )

    def _step(self, closure: Callable[[], Any] | None = None) -> Any:
        if torch.compiler.is_compiling():
            return self._torch_step(closure)
        loss = None
        if closure is not None:
            with torch.enable_grad():
                loss = closure()
        left = self._step_by_kernels()
        if left:
            self._step_by_torch(left)
        return loss

    _watched_step = Optimizer.profile_hook_step(_step)

    def _step_by_kernels(self) -> list[Group]:
        """Step all groups that the kernels cover; the others are the result."""
        kernels = self._fresh_kernels()
        orders, stepped, left = [], [], []
        for group in self.param_groups:
            added = self._add(kernels, group)
            if added is None:
                left.append(group)
            else:
                stepped.append(added[0])
                orders.append([self._order(group, clock) for clock in added[1]])
        if orders and not kernels.run(orders, 0):
            return list(self.param_groups)
        for params in stepped:
            torch.autograd.graph.increment_version(params)
        return left

    def _fresh_kernels(self) -> Any:
        """The core's step of this optimizer. It is no part of the state: copies and pickles make their own."""
        kernels = self.__dict__.get("_kernels")
        if kernels is None:
            kernels = self._kernels = _core.TorchStep(PLAIN, TABLE, DESCRIBE)
        kernels.begin()
        return kernels

    def _add(self, kernels: Any, group: Group) -> Any:
        """The parameters of a group that are to be stepped and their scalars; None if it is left to torch."""
        if any(map(group.get, LEFT_TO_TORCH)) or not isinstance(group["lr"], (int, float)):
            return None
        found = self._rule(group)
        if found is None:
            return None
        rule, states = found
        params, state = group["params"], self.state
        added = kernels.add(rule, states, self.scalars, params, None, state)
        if added is not None:
            return added
        if any(hasattr(p, "to_local") for p in params if type(p) not in PLAIN):
            return self._add_local(kernels, group, rule, states)
        return kernels.add(rule, states, self.scalars, params, None, state) if self._begin_state(group) else None

    def _begin_state(self, group: Group) -> bool:
        """Let torch make the state of parameters that have a gradient for the first time. Whether there were any."""
        if all(p.grad is None or self.state.get(p) for p in group["params"]):
            return False
        lists = len(inspect.signature(self._init_group).parameters) - 1
        self._init_group(group, *([] for _ in range(lists)))
        return True

    def _add_local(self, kernels: Any, group: Group, rule: str, states: tuple[str | None, ...]) -> Any:
        """As `_add`, for `DTensor`s that are distributed like their gradients and states."""
        self._begin_state(group)
        with torch.no_grad():
            params, grads, local_state = [], [], {}
            for p in group["params"]:
                if p.grad is None:
                    continue
                local, g, own = _local(p, p), _local(p.grad, p), {k: _local(v, p) for k, v in self.state[p].items()}
                params.append(local)
                grads.append(g)
                local_state[local] = own
        return kernels.add(rule, states, self.scalars, params, grads, local_state)

    def _step_by_torch(self, groups: list[Group]) -> None:
        everything, self.param_groups = self.param_groups, groups
        try:
            self._torch_step()
        finally:
            self.param_groups = everything

    def _torch_step(self, closure: Callable[[], Any] | None = None) -> Any:
        """Torch's own step, without the wrapper that tells the hooks: they have been told."""
        step = self.peer.step
        return (step.__wrapped__ if getattr(step, "hooked", False) else step)(self, closure)

    # ---- loading ----

    def load_state_dict(self, state_dict: dict[str, Any]) -> None:
        """Take over a `state_dict`, this class's or torch's, with copies of its tensors."""
        super().load_state_dict(state_dict)
        theirs = {id(value) for own in state_dict["state"].values() if isinstance(own, dict) for value in own.values()}
        for own in self.state.values():
            for name, value in own.items() if isinstance(own, dict) else ():
                if isinstance(value, torch.Tensor) and id(value) in theirs:
                    own[name] = value.clone()


def _local(value: Any, like: Any) -> Any:
    """What a DTensor holds here, if it is distributed as `like` is."""
    if not hasattr(value, "to_local"):
        return value
    same = value.placements == getattr(like, "placements", None) and value.device_mesh == like.device_mesh
    return value.to_local() if same else value
