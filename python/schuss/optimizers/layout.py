"""The forms in which parameters and gradients come: lists, dicts, groups."""

import operator
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

Arrays = Iterable[Any] | Mapping[str, Any]


class Layout:
    """The form in which the arrays of one group come: a list, or a dict with certain keys."""

    def __init__(self, params: Arrays, where: str, prefix: str) -> None:
        self.keys: list[str] | None = None
        self.where = where  # what this group's list or dict is called: "" or "[1]"
        if isinstance(params, Mapping):
            self.keys = list(params)
        elif hasattr(params, "__array__") or isinstance(params, str) or not hasattr(params, "__iter__"):
            raise TypeError(f"params must be a list or a dict of arrays, or a list of groups, got {kind(params)}")
        self.source = params if isinstance(params, (Mapping, list, tuple)) else list(params)
        self.params = self._items()
        names: Sequence[Any] = range(len(self.params)) if self.keys is None else self.keys
        self.labels = [f"[{name!r}]" for name in names]
        self.paths = [f"{prefix}{name}" for name in names]
        if len(set(self.paths)) < len(self.paths):
            raise ValueError(f"params has keys that read alike, got {self.keys}, expected different names")

    def _items(self) -> list[Any]:
        return list(self.source.values()) if isinstance(self.source, Mapping) else list(self.source)

    def check_source(self) -> None:
        """Raise if the caller's list or dict no longer holds the arrays that are optimized."""
        now = self._items()
        if len(now) != len(self.params) or not all(map(operator.is_, now, self.params)):
            changed = [i for i, (a, b) in enumerate(zip(now, self.params, strict=False)) if a is not b]
            label = self.labels[changed[0]] if changed else ""
            raise ValueError(
                f"params{self.where}{label} is not what it was at construction: its arrays are updated in place, "
                f"so give them new values by params{self.where}{label or '[…]'}[...] = values"
            )

    def flatten(self, grads: Any, argument: str) -> list[Any]:
        """The arrays of an argument, which must come in this layout, in the order of the parameters."""
        name = f"{argument}{self.where}"
        if self.keys is None:
            if not isinstance(grads, (list, tuple)):
                raise TypeError(f"{name} is {kind(grads)}, expected a list of arrays like params")
            arrays = list(grads)
            if len(arrays) != len(self.params):
                raise ValueError(f"{name} has {len(arrays)} arrays, expected {len(self.params)} like params")
            return arrays
        if not isinstance(grads, Mapping):
            raise TypeError(f"{name} is {kind(grads)}, expected a dict of arrays like params")
        if grads.keys() != set(self.keys):
            for key in self.keys:
                if key not in grads:
                    raise ValueError(f"{name} lacks the key {key!r}, expected the keys of params: {self.keys}")
            extra = next(key for key in grads if key not in self.keys)
            raise ValueError(f"{name} has the key {extra!r}, expected the keys of params: {self.keys}")
        return [grads[key] for key in self.keys]

    def restore(self, arrays: list[Any]) -> Any:
        """A list of arrays in the order of the parameters, back in this layout."""
        return arrays if self.keys is None else dict(zip(self.keys, arrays, strict=True))


def kind(value: Any) -> str:
    """What an error calls the type of a value."""
    return type(value).__name__


def are_groups(params: Any) -> bool:
    """Whether `params` is a list of parameter groups and not of arrays."""
    return (
        isinstance(params, (list, tuple))
        and len(params) > 0
        and all(isinstance(group, Mapping) and "params" in group for group in params)
    )
