"""What an optimizer holds, in the form of its parameters: states, θ and averages."""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import Any

import numpy as np

from schuss import _core
from schuss.optimizers.layout import kind
from schuss.optimizers.snapshots import Array, Snapshots
from schuss.optimizers.storage import decoded, encode


class Holdings(Snapshots):
    """An optimizer as one looks at it between steps."""

    _in_groups: bool

    @property
    def state(self) -> dict[str, Any]:
        """The state arrays as they are stored, by the rule's name for them, each in the form of `params`.

        With 8 bits, `"<state>_scale"` has the scales of its codes.
        """
        named = [states.named() for states in self._states]
        names = dict.fromkeys(name for arrays in named for name in arrays if name != "average")
        return {name: self._in_form([arrays.get(name) for arrays in named]) for name in names}

    def theta(self) -> Any:
        """Copies of the parameters θ themselves, in the form of `params`; of 16-bit parameters in float32.

        With Nesterov momentum in the book's convention `params` hold the look-ahead point θ + αv, at which the next
        gradient is to be taken; this gives θ, which is what to evaluate and to keep. Otherwise, and while `params` hold
        the average, the two are equal.
        """
        return self._in_form(self._thetas())

    def average(self) -> Any:
        """Copies of the averages of the parameters, in the form of `params`; before the first step, of θ.

        Raises:
            ValueError: The optimizer does not average.
        """
        return self._in_form(self._averages())

    def _averages(self) -> list[list[Array]]:
        """These copies, group by group."""
        if not self.phase["average"]:
            raise ValueError("average is None, expected 'ema' or 'uniform' at construction")
        if self.averaged == 0:
            return self._thetas()
        return [[a.copy() for a in states.averages or []] for states in self._states]

    @contextmanager
    def averaged_params(self) -> Iterator[None]:
        """Let the parameters hold their average for a while: to evaluate or to save them.

        Raises:
            ValueError: The optimizer does not average, or they hold it already.

        Example:
            >>> import numpy as np, schuss
            >>> theta = np.array([1.0])
            >>> opt = schuss.SGD([theta], lr=0.5, average="uniform")
            >>> for _ in range(2):
            ...     opt.step([theta.copy()])  # θ is 0.5, then 0.25
            >>> with opt.averaged_params():
            ...     print(theta)
            [0.375]
            >>> print(theta)
            [0.25]
        """
        if self._swapped:
            raise ValueError("averaged_params() within averaged_params(): params hold the average already")
        means = self._by_group(self.average(), "averages")
        params, dtypes = self._memory()
        before = [[p.copy() for p in group] for group in params]
        try:
            self._swapped = True
            for group, kinds, values in zip(params, dtypes, means, strict=True):
                for p, dtype, mean in zip(group, kinds, values, strict=True):
                    encode(mean, p, dtype)
            yield
        finally:
            for group, saved in zip(params, before, strict=True):
                for p, old in zip(group, saved, strict=True):
                    p[...] = old
            self._swapped = False

    def reset_average(self) -> None:
        """Begin the average anew: the next step's θ is its first point."""
        self.averaged = 0

    def _thetas(self) -> list[list[Array]]:
        params, dtypes = self._memory()
        return [
            [
                decoded(p, dtype) if dtype in ("bfloat16", "float16") else np.array(p)
                for p, dtype in zip(*of, strict=True)
            ]
            for of in zip(params, dtypes, strict=True)
        ]

    def _in_form(self, by_group: Sequence[list[Any] | None]) -> Any:
        """Arrays by group, in the form of `params`, with None for a group that has none."""
        restored = [
            None if arrays is None else layout.restore(list(arrays))
            for layout, arrays in zip(self._layouts, by_group, strict=True)
        ]
        return restored if self._in_groups else restored[0]

    # ---- forms ----

    def _memory(self) -> tuple[list[list[Array]], list[list[str]]]:
        """Views on the parameters, by group, and their types; raises unless every one can be updated in place."""
        labels = [layout.where + label for layout in self._layouts for label in layout.labels]
        arrays, dtypes = _core.as_arrays([p for layout in self._layouts for p in layout.params], "params", labels)
        flat, kinds = iter(arrays), iter(dtypes)
        return (
            [[next(flat) for _ in layout.params] for layout in self._layouts],
            [[next(kinds) for _ in layout.params] for layout in self._layouts],
        )

    def _by_group(self, arrays: Any, name: str) -> list[list[Any]]:
        if not self._in_groups:
            return [self._layouts[0].flatten(arrays, name)]
        if not isinstance(arrays, (list, tuple)):
            raise TypeError(f"{name} is {kind(arrays)}, expected a list with an entry for each of params' groups")
        if len(arrays) != len(self._layouts):
            raise ValueError(f"{name} has {len(arrays)} entries, expected {len(self._layouts)}, one for each group")
        return [layout.flatten(own, name) for layout, own in zip(self._layouts, arrays, strict=True)]
