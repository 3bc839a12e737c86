"""Continuation: minimise a sequence of objectives, each from the minimum of the one before."""

from collections.abc import Callable, Sequence
from typing import Any, NamedTuple

from schuss.continuation.sampled import gaussian_blur
from schuss.minimizers import MinimizeResult, minimize
from schuss.options import POSITIVE_OR_ZERO, function, number


class Continuation(NamedTuple):
    """What `continuation` found.

    Attributes:
        result: The result for the last objective.
        results: Those for all of them.
    """

    result: MinimizeResult
    results: list[MinimizeResult]


def continuation(
    objectives: Callable[..., Any] | Sequence[Callable[..., Any]],
    x0: Any,
    *,
    sigmas: Sequence[float] | None = None,
    samples: int = 128,
    seed: int | None = None,
    minimize: Callable[..., MinimizeResult] = minimize,
    callback: Callable[[int, MinimizeResult], None] | None = None,
    **options: Any,
) -> Continuation:
    """Follow a minimum from an easy objective to the hard one, past local minima in which plain descent ends.

    Formula: x⁽ⁱ⁾ is the minimum of J⁽ⁱ⁾ that is reached from x⁽ⁱ⁻¹⁾; J⁽ⁱ⁾ is the objective blurred by σᵢ.

    Source: Deep Learning, section 8.7.6 and equation 8.40; Mobahi and Fisher 2015.

    Args:
        objectives: One function, with `sigmas`; or a sequence of functions, from the easiest to the one that counts.
        x0: Where to begin: n numbers.
        sigmas: σ₁ > σ₂ > … in [0, ∞), to blur by; if the last one is not 0, the function itself follows.
        samples: As for `gaussian_blur`.
        seed: As for `gaussian_blur`; needed if the function has no closed form.
        minimize: minimize(fun, x0, **options) gives a result with an `x`; default `schuss.minimize`.
        callback: callback(i, result) after each objective.
        options: Passed on to `minimize`, such as `method`, `jac`, `gtol`.

    Returns:
        A `Continuation`: the result for the last objective, and all results.

    Raises:
        TypeError: An argument has another type.
        ValueError: An argument is out of its range, or sigmas do not fall.

    Example:
        >>> import schuss
        >>> from schuss.continuation import Cosines, Polynomial, continuation
        >>> bowl = Polynomial([1.0], [2]) + Cosines([-10.0], [3.0])  # x² - 10 cos 3x
        >>> schuss.minimize(bowl, [6.0]).x.round(2), continuation(bowl, [6.0], sigmas=[1.0, 0.5]).result.x.round(2)
        (array([6.14]), array([0.]))
    """
    sequence = _sequence(objectives, sigmas, samples, seed)
    function("minimize", minimize)
    results: list[MinimizeResult] = []
    for index, objective in enumerate(sequence):
        results.append(minimize(objective, results[-1].x if results else x0, **options))
        if callback is not None:
            callback(index, results[-1])
    return Continuation(results[-1], results)


def _sequence(objectives: Any, sigmas: Any, samples: int, seed: int | None) -> list[Callable[..., Any]]:
    """The objectives, from the easiest to the one that counts."""
    if not callable(objectives):
        if not isinstance(objectives, (list, tuple)) or not objectives:
            raise TypeError(f"objectives must be a function or a list of at least one, got {objectives!r}")
        if sigmas is not None:
            raise TypeError("sigmas go with one objective, got a list of them")
        for i, objective in enumerate(objectives):
            function(f"objectives[{i}]", objective)
        return list(objectives)
    if not isinstance(sigmas, (list, tuple)) and not hasattr(sigmas, "tolist"):
        raise TypeError(f"sigmas must be a list of numbers, got {sigmas!r}")
    checked = [number(f"sigmas[{i}]", sigma, POSITIVE_OR_ZERO) for i, sigma in enumerate(sigmas)]
    for i in range(1, len(checked)):
        if checked[i] >= checked[i - 1]:
            raise ValueError(f"sigmas must fall, got sigmas[{i}]={checked[i]!r} after {checked[i - 1]!r}")
    blurs = [gaussian_blur(objectives, sigma, samples=samples, seed=seed) for sigma in checked if sigma]
    return [*blurs, objectives]
