"""A step with all that is around its update rule: unscaling, clipping, rounding, averaging, copying, zeroing."""

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from numpy.typing import NDArray

from schuss.reference import storage

Array = NDArray[Any]

PIECE, LANES = 4096, 32


@dataclass
class Tensor:
    """A parameter with what belongs to it, each as it is stored; `formats` says how, where it is not as computed.

    Attributes:
        theta: The parameter.
        g: Its gradient.
        states: Its states, None for those that are not kept.
        average: The average of the parameter, in the type to compute with, or None.
        copy: Where a copy of the parameter in fewer bits goes, or None.
        formats: Of `"theta"`, `"g"`, `"copy"` and of each state by its place.
        positive: The places of the states that are never negative.
    """

    theta: Any
    g: Any
    states: list[Any]
    average: Any = None
    copy: Any = None
    formats: dict[Any, str] = field(default_factory=dict)
    positive: Sequence[int] = ()

    @property
    def dtype(self) -> np.dtype[Any]:
        """What is computed in: float64 for parameters of that type, and float32 for all others."""
        own = self.formats.get("theta", str(np.asarray(self.theta).dtype))
        return np.dtype("float64" if own == "float64" else "float32")

    def decoded(self, name: Any, stored: Any) -> Array:
        """An array of this tensor, to compute with."""
        if name not in self.formats:
            return np.array(stored)
        return np.array(storage.decode(stored, self.formats[name], positive=name in self.positive), self.dtype)


def gradient_norm(grads: Sequence[Array]) -> float:
    """‖g‖ of all gradients together, as Euclid has it, summed in an order that depends on their shapes alone.

    Pieces of 4096 values; in each, 32 lanes of every 32nd value, added in pairs, halves upon halves; all in float64.
    Only squares of float64 values can be too large or too small for that; then they are summed at another scale.
    """
    total = _sum_of_squares(grads, 1.0)
    if (math.isfinite(total) and total > 2.0**-900) or all(g.dtype != np.float64 for g in grads):
        return math.sqrt(total)
    power = 2.0**600 if math.isfinite(total) else 2.0**-600
    return math.sqrt(_sum_of_squares(grads, power)) / power


def _sum_of_squares(grads: Sequence[Array], power: float) -> float:
    total = 0.0
    for g in grads:
        flat = np.ravel(g).astype(np.float64) * power
        for begin in range(0, flat.size, PIECE):
            piece = flat[begin : begin + PIECE]
            rows = np.concatenate([piece, np.zeros(-piece.size % LANES)]).reshape(-1, LANES)
            lanes = np.zeros(LANES)
            with np.errstate(over="ignore", under="ignore", invalid="ignore"):
                for row in rows:
                    lanes = lanes + row * row
                while lanes.size > 1:
                    lanes = lanes[: lanes.size // 2] + lanes[lanes.size // 2 :]
                total += float(lanes[0])
    return total


def gradient_factor(norm: float, *, grad_scale: float, clip_norm: float | None, convention: str) -> float:
    """What the gradients are multiplied with: 1 / scale, and c / ‖g‖ where the unscaled norm is above c."""
    factor = 1 / grad_scale
    if clip_norm is not None and clip_norm < math.inf:
        guarded = norm + (1e-6 if convention == "torch" else 0.0)
        ratio = clip_norm / guarded if guarded != 0 else math.inf
        if not ratio >= 1:
            factor *= ratio
    return factor


def prepared(g: Array, factor: float, clip_value: float | None) -> Array:
    """The gradient that the update rule sees."""
    if factor == 1 and clip_value is None:
        return g
    scaled = g.dtype.type(factor) * g
    limit = g.dtype.type(math.inf if clip_value is None else clip_value)
    return np.asarray(np.where(scaled > limit, limit, np.where(scaled < -limit, -limit, scaled)))


def averaged(mean: Array, theta: Array, kind: str, *, decay: float, points: int, convention: str) -> Array:
    """The average when it gets to know its `points`-th point: of all alike, or exponential."""
    if points == 1:
        return theta.copy()
    if kind == "uniform":
        return np.asarray(mean + (theta - mean) / theta.dtype.type(points))
    kept, moved = float(decay), 1 - float(decay)
    return np.asarray(kept * mean + moved * theta if convention == "book" else mean + moved * (theta - mean))


def one_pass(
    rule: Callable[..., None],
    tensors: Sequence[Tensor],
    *,
    number: int,
    counted: bool,
    options: dict[str, Any],
    grad_scale: float = 1.0,
    clip_norm: float | None = None,
    clip_value: float | None = None,
    skip_nonfinite: bool = False,
    zero_grad: bool = False,
    average: str | None = None,
    average_decay: float = 0.999,
    points: int = 0,
    stochastic: bool = False,
    seed: int = 0,
    look_ahead: float = 0.0,
    velocity: int = 0,
) -> float:
    """Take step `number` with all tensors, in place; returns the norm of the unscaled gradients.

    `rule` is a function of `schuss.reference`, with its `options`, and `counted` if it takes a `step`; so many `points`
    have been averaged before; with Nesterov momentum the parameters are ahead of θ by `look_ahead` times the state at
    `velocity`. The other arguments are those of `schuss.Optimizer`.
    """
    convention = options.get("convention", "book")
    norm = gradient_norm([tensor.decoded("g", tensor.g) for tensor in tensors]) / grad_scale
    if skip_nonfinite and not math.isfinite(norm):
        return norm
    factor = gradient_factor(norm, grad_scale=grad_scale, clip_norm=clip_norm, convention=convention)
    for place, tensor in enumerate(tensors):
        theta = tensor.decoded("theta", tensor.theta)
        states = [None if s is None else tensor.decoded(k, s) for k, s in enumerate(tensor.states)]
        g = prepared(tensor.decoded("g", tensor.g), factor, clip_value)
        rule(theta, g, *states, **({"step": number} if counted else {}), **options)
        draw = {"seed": seed, "step": number, "tensor": place} if stochastic else None
        _store(tensor, theta, states, draw)
        theta = tensor.decoded("theta", tensor.theta)
        if average is not None:
            v = tensor.decoded(velocity, tensor.states[velocity]) if look_ahead else None
            point = theta if v is None else theta - look_ahead * v
            tensor.average[...] = averaged(
                tensor.average, point, average, decay=average_decay, points=points + 1, convention=convention
            )
        if tensor.copy is not None:
            tensor.copy[...] = storage.encode(theta, tensor.formats["copy"])
        if zero_grad:
            tensor.g[...] = 0
    return norm


def _store(tensor: Tensor, theta: Array, states: Sequence[Array | None], draw: dict[str, int] | None) -> None:
    """Write back what has been stepped, in the formats in which it is stored."""
    names: list[Any] = ["theta", *range(len(states))]
    for name, stored, values in zip(names, [tensor.theta, *tensor.states], [theta, *states], strict=True):
        if values is None:
            continue
        if name not in tensor.formats:
            stored[...] = values
            continue
        operand = 4 if name == "theta" else int(name)
        bits = storage.NOISE_BITS.get(tensor.formats[name], 0)
        noise = None if draw is None else storage.noise(values.size, operand, bits, **draw)
        new = storage.encode(values, tensor.formats[name], positive=name in tensor.positive, noise=noise)
        for to, array in zip(stored, new, strict=True) if isinstance(new, tuple) else [(stored, new)]:
            to[...] = array
