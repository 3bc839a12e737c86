"""What is measured: recipes (a rule with its options) and workloads (the shapes of the arrays)."""

from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from typing import Any

from schuss import _core, optimizers
from schuss.benchmark import inplace

RULES = _core.rules()


@dataclass(frozen=True)
class Torch:
    """The counterpart in `torch.optim`.

    Attributes:
        optimizer: Its class.
        options: Its arguments.
        lacks: The forms it lacks, each with the reason.
        float32_schedules: Whether what depends on the step alone is float32 there, whatever the parameters are.
    """

    optimizer: str
    options: dict[str, Any]
    lacks: dict[str, str] = field(default_factory=dict)
    float32_schedules: bool = False


@dataclass(frozen=True)
class Recipe:
    """A rule as it is benchmarked.

    Attributes:
        name: What it is called on the command line: the rule's name, or that and a variant.
        rule: The rule's name in the registry.
        optimizer: The class whose `step` is measured.
        options: Its hyperparameters, which are the reference's too.
        torch: The counterpart in torch, or why there is none.
    """

    name: str
    rule: str
    optimizer: Callable[..., optimizers.Optimizer]
    options: dict[str, Any]
    torch: Torch | str

    @property
    def reference_options(self) -> dict[str, Any]:
        """The options of the functions in `schuss.reference` and `inplace`; `step`, if they count it, is still 0."""
        rule, options = RULES[self.rule], dict(self.options)
        if "look_ahead" in rule["options"] and "momentum" in options:
            options["look_ahead"] = options["momentum"]
        return {**options, "step": 0} if rule["counts_steps"] else options

    @property
    def states(self) -> dict[str, float | None]:
        """The states in the rule's order: the value each starts at, or None where these options need no such state."""
        return {
            name: None if needed_by and not self.options.get(needed_by) else self.options.get(starts_at, 0.0)
            for name, needed_by, starts_at in RULES[self.rule]["states"]
        }


ADAM: dict[str, Any] = {"lr": 1e-3, "betas": (0.9, 0.999), "eps": 1e-8}
NADAM: dict[str, Any] = {**ADAM, "momentum_decay": 0.004}
RPROP: dict[str, Any] = {"lr": 0.01, "etas": (0.5, 1.2), "step_sizes": (1e-6, 50.0)}
ASGD: dict[str, Any] = {"lr": 0.01, "alpha": 0.75, "t0": 0.0}
RMSPROP: dict[str, Any] = {"lr": 1e-3, "rho": 0.9, "eps": 1e-6}
TORCH_RMSPROP: dict[str, Any] = {"lr": 1e-3, "alpha": 0.9, "eps": 1e-6}

UNFUSED = {"torch-fused": "torch has fused kernels for the CPU for SGD, Adagrad, Adam and AdamW only"}
OVERWRITES = {"torch-foreach": "torch's foreach SGD with Nesterov momentum overwrites the gradients"}

RECIPES = (
    Recipe("sgd", "sgd", optimizers.SGD, {"lr": 0.01}, Torch("SGD", {"lr": 0.01})),
    Recipe(
        "momentum",
        "momentum",
        optimizers.Momentum,
        {"lr": 0.01, "momentum": 0.9},
        Torch("SGD", {"lr": 0.01, "momentum": 0.9}),
    ),
    Recipe(
        "nesterov",
        "nesterov",
        optimizers.Nesterov,
        {"lr": 0.01, "momentum": 0.9},
        Torch("SGD", {"lr": 0.01, "momentum": 0.9, "nesterov": True}, OVERWRITES),
    ),
    Recipe(
        "delta_bar_delta",
        "delta_bar_delta",
        optimizers.DeltaBarDelta,
        {"lr": 0.01, "kappa": 0.001, "phi": 0.1, "gamma": 0.7},
        "torch has no delta-bar-delta",
    ),
    Recipe(
        "adagrad",
        "adagrad",
        optimizers.AdaGrad,
        {"lr": 0.01, "eps": 1e-7},
        Torch("Adagrad", {"lr": 0.01, "eps": 1e-7}),
    ),
    Recipe("rmsprop", "rmsprop", optimizers.RMSProp, RMSPROP, Torch("RMSprop", TORCH_RMSPROP, UNFUSED)),
    Recipe(
        "rmsprop-centered",
        "rmsprop",
        optimizers.RMSProp,
        {**RMSPROP, "centered": True},
        Torch("RMSprop", {**TORCH_RMSPROP, "centered": True}, UNFUSED),
    ),
    Recipe(
        "rmsprop-momentum",
        "rmsprop",
        optimizers.RMSProp,
        {**RMSPROP, "momentum": 0.9},
        Torch("RMSprop", {**TORCH_RMSPROP, "momentum": 0.9}, UNFUSED),
    ),
    Recipe(
        "rmsprop-nesterov",
        "rmsprop",
        optimizers.RMSProp,
        {**RMSPROP, "momentum": 0.9, "nesterov": True},
        "torch's RMSprop has no Nesterov momentum",
    ),
    Recipe(
        "adadelta",
        "adadelta",
        optimizers.AdaDelta,
        {"lr": 1.0, "rho": 0.95, "eps": 1e-6},
        Torch("Adadelta", {"lr": 1.0, "rho": 0.95, "eps": 1e-6}, UNFUSED),
    ),
    Recipe("adam", "adam", optimizers.Adam, ADAM, Torch("Adam", ADAM)),
    Recipe(
        "adamw",
        "adamw",
        optimizers.AdamW,
        {**ADAM, "weight_decay": 0.01},
        Torch("AdamW", {**ADAM, "weight_decay": 0.01}),
    ),
    Recipe("nadam", "nadam", optimizers.NAdam, NADAM, Torch("NAdam", NADAM, UNFUSED, True)),
    Recipe("radam", "radam", optimizers.RAdam, ADAM, Torch("RAdam", ADAM, UNFUSED)),
    Recipe("adamax", "adamax", optimizers.Adamax, ADAM, Torch("Adamax", ADAM, UNFUSED)),
    Recipe("rprop", "rprop", optimizers.Rprop, RPROP, Torch("Rprop", RPROP, UNFUSED)),
    Recipe("asgd", "asgd", optimizers.ASGD, ASGD, Torch("ASGD", {**ASGD, "lambd": 0.0}, UNFUSED, True)),
)


def without_benchmark() -> list[str]:
    """The rules of the registry that lack a recipe of their own name or a NumPy form in place."""
    return [rule for rule in RULES if rule not in {r.name for r in RECIPES} or not hasattr(inplace, rule)]


Shape = tuple[int, ...]


@dataclass(frozen=True)
class Workload:
    """The shapes of the arrays of one step."""

    name: str
    shapes: tuple[Shape, ...] = field(repr=False)

    @property
    def elements(self) -> int:
        """The number of elements of all arrays."""
        return sum(_size(shape) for shape in self.shapes)


def _size(shape: Shape) -> int:
    size = 1
    for extent in shape:
        size *= extent
    return size


def single(n: int) -> Workload:
    """One array of `n` elements."""
    return Workload(str(n), ((n,),))


def resnet50() -> Iterator[Shape]:
    """The shapes of ResNet-50's parameters, in the order of the layers: He et al. 2016, table 1."""

    def convolution(outputs: int, inputs: int, kernel: int) -> Iterator[Shape]:
        yield (outputs, inputs, kernel, kernel)
        yield (outputs,)  # the batch normalization after it: scale
        yield (outputs,)  # and shift

    yield from convolution(64, 3, 7)
    inputs = 64
    for width, blocks in ((64, 3), (128, 4), (256, 6), (512, 3)):
        for block in range(blocks):
            yield from convolution(width, inputs, 1)
            yield from convolution(width, width, 3)
            yield from convolution(4 * width, width, 1)
            if block == 0:
                yield from convolution(4 * width, inputs, 1)  # the shortcut's projection
            inputs = 4 * width
    yield (1000, inputs)
    yield (1000,)


SIZES = (10**3, 10**4, 10**5, 10**6, 10**7, 5 * 10**7)

LISTS = {
    "200x1000": Workload("200x1000", ((1000,),) * 200),
    "resnet50": Workload("resnet50", tuple(resnet50())),
}


@dataclass(frozen=True)
class Case:
    """One measurement: a recipe on a workload, in one dtype."""

    recipe: Recipe
    workload: Workload
    dtype: str = "float32"

    @property
    def itemsize(self) -> int:
        """The bytes of an element."""
        return {"float32": 4, "float64": 8}[self.dtype]

    @property
    def bytes_per_element(self) -> int:
        """What a step moves at least: it reads θ, g and the states, and writes θ and the states."""
        kept = sum(start is not None for start in self.recipe.states.values())
        return self.itemsize * (3 + 2 * kept)
