"""The forms in which parameters and gradients come: lists, dicts, groups."""

from collections.abc import Mapping, Sequence
from typing import Any


class Layout:
    """The form in which the arrays of one group come: a list, or a dict with certain keys."""

    def __init__(self, params: Any, where: str, prefix: str) -> None:
        self.keys: list[str] | None = None
        self.where = where  # what this group's list or dict is called: "" or "[1]"
        if isinstance(params, Mapping):
            self.keys = list(params)
            params = list(params.values())
        elif hasattr(params, "__array__") or isinstance(params, str) or not hasattr(params, "__iter__"):
            raise TypeError(f"params must be a list or a dict of arrays, or a list of groups, got {kind(params)}")
        self.params: list[Any] = list(params)
        names: Sequence[Any] = range(len(self.params)) if self.keys is None else self.keys
        self.labels = [f"[{name!r}]" for name in names]
        self.paths = [f"{prefix}{name}" for name in names]

    def flatten(self, grads: Any) -> list[Any]:
        """The arrays of `grads`, which must come in this layout, in the order of the parameters."""
        name = f"grads{self.where}"
        if self.keys is None:
            if not isinstance(grads, (list, tuple)):
                raise TypeError(f"{name} is {kind(grads)}, expected a list of arrays like params")
            if len(grads) != len(self.params):
                raise ValueError(f"{name} has {len(grads)} arrays, expected {len(self.params)} like params")
            return list(grads)
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
