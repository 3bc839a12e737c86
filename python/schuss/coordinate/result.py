"""What coordinate descent gives back, and how it tells others of its progress."""

from collections.abc import Callable
from typing import Any

from schuss.minimizers.minimize import wants_result
from schuss.minimizers.result import STOPPED, MinimizeResult

RUNNING, CONVERGED, ITERATION_LIMIT, PRECISION_LIMIT = -1, 0, 1, 2

MESSAGES = {
    RUNNING: "The run was interrupted.",
    CONVERGED: "Converged: what is left is as small as was asked for.",
    ITERATION_LIMIT: "Maximum number of iterations reached.",
    PRECISION_LIMIT: "The precision limit has been reached: the numbers cannot show that less is left.",
    STOPPED: "`callback` raised `StopIteration`.",
}


class CoordinateResult(MinimizeResult):
    """The result of a descent: a dict whose entries are attributes too.

    `x` is the solution, `fun` the objective there, `history` the objective from the start to the end, `n_iter` the
    number of iterations. `success` says whether the descent reached its tolerance, `status` and `message` how it ended:

        0 converged, 1 iteration limit, 2 precision limit, 99 stopped by the callback, -1 interrupted

    The other entries are those that the function names.
    """


def ended(status: int, **entries: Any) -> CoordinateResult:
    """A result with the entries that say how the run ended."""
    return CoordinateResult(**entries, status=status, success=status == CONVERGED, message=MESSAGES[status])


Result = Callable[[int], CoordinateResult]  # the result of a run that ended so


def watch(callback: Callable[..., Any] | None, result: Result) -> Callable[[], bool] | None:
    """`callback` in the form in which the core calls it: it sees what there is so far, and says whether to stop."""
    if callback is None:
        return None
    if not callable(callback):
        raise TypeError(f"callback is {type(callback).__name__}, expected a function")
    by_name = wants_result(callback)

    def call() -> bool:
        so_far = result(RUNNING)
        try:
            if by_name:
                callback(intermediate_result=so_far)
            else:
                callback(so_far.x)
        except StopIteration:
            return True
        return False

    return call


def run(work: Callable[[], int], result: Result) -> CoordinateResult:
    """The result of `work`, which returns how it ended; what it raises gets the result so far as its `result`."""
    try:
        return result(work())
    except BaseException as error:
        error.result = result(RUNNING)  # type: ignore[attr-defined]
        raise
