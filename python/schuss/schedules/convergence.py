"""Whether a schedule of learning rates fulfils the conditions for convergence of stochastic gradient descent."""

from dataclasses import dataclass
from typing import Any

from schuss.schedules.forms import Tail, tail_of


@dataclass(frozen=True)
class RobbinsMonro:
    """The answer of `robbins_monro`, which is true if both conditions hold.

    Attributes:
        tail: What the schedule comes to.
        sum_diverges: Whether Σε_k = ∞.
        squares_converge: Whether Σε_k² < ∞.
        reason: Why, in words.
    """

    tail: Tail
    sum_diverges: bool
    squares_converge: bool
    reason: str

    def __bool__(self) -> bool:
        return self.sum_diverges and self.squares_converge


def robbins_monro(schedule: Any) -> RobbinsMonro:
    """Check the conditions under which stochastic gradient descent converges, by a schedule's form.

    Formula: Σε_k = ∞: no minimum is out of reach; Σε_k² < ∞: the noise of the gradients dies out. For ε_k ~ c·k^-p, c >
    0, the first holds where p ≤ 1 and the second where p > ½.

    Source: Robbins and Monro 1951; Deep Learning, equations 8.12 and 8.13 (sufficient conditions).

    Args:
        schedule: One of `schuss.schedules`.

    Returns:
        A `RobbinsMonro`: true or false, with reasons.

    Raises:
        TypeError: The schedule's form is not known, as that of a function of one's own.

    Example:
        >>> from schuss import schedules
        >>> bool(schedules.robbins_monro(schedules.inverse_time(0.1)))
        True
        >>> print(schedules.robbins_monro(schedules.linear_decay(0.1, 100)).reason)
        ε_k comes to the constant 0.001: Σε_k = ∞, as p = 0 ≤ 1, but Σε_k² = ∞, as p = 0 ≤ ½
    """
    tail = tail_of(schedule)
    if tail.scale == 0:
        return RobbinsMonro(tail, False, True, f"ε_k comes to {tail}: Σε_k and Σε_k² are finite sums")
    diverges, converge = tail.power <= 1, tail.power > 0.5
    first = f"Σε_k {'= ∞' if diverges else '< ∞'}, as p = {tail.power:g} {'≤' if diverges else '>'} 1"
    second = f"Σε_k² {'< ∞' if converge else '= ∞'}, as p = {tail.power:g} {'>' if converge else '≤'} ½"
    word = "and" if diverges and converge else "but"
    return RobbinsMonro(tail, diverges, converge, f"ε_k comes to {tail}: {first}, {word} {second}")
