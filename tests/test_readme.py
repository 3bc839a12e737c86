"""The README: its table comes from the registry, and its examples run."""

import inspect
import re
from pathlib import Path

import numpy as np
import pytest

from cases import RULES
from test_rules import CLASSES

README = Path(__file__).parent.parent / "README.md"


def table() -> str:
    """The README's table of optimizers, from the registry and the classes."""
    rows = ["| class | rule | state | hyperparameters and the book's defaults | source |", "|---|---|---|---|---|"]
    common = {"params", "convention", "weight_decay", "decoupled_weight_decay", "maximize", "num_threads"}
    common |= {"options", "phase"}  # the keywords that are passed on
    for rule, cls in CLASSES.items():
        parameters = inspect.signature(cls).parameters.values()
        options = [
            f"`{p.name}`" if p.default is inspect.Parameter.empty else f"`{p.name}={p.default}`"
            for p in parameters
            if p.name not in common
        ]
        states = [f"`{name}`" for name, _, _ in RULES[rule]["states"]]
        cells = [f"`{cls.__name__}`", f"`{rule}`", ", ".join(states) or "none", ", ".join(options)]
        rows.append(f"| {' | '.join(cells)} | {RULES[rule]['source']} |")
    return "\n".join(rows)


def test_the_table_of_optimizers_is_the_registrys():
    assert table() in README.read_text(), f"put this table into README.md:\n{table()}"


EXAMPLES = re.findall(r"```python\n(.*?)```", README.read_text(), re.DOTALL)


@pytest.mark.parametrize("code", EXAMPLES, ids=range(len(EXAMPLES)))
def test_the_examples_run(code):
    if "import torch" in code:
        pytest.importorskip("torch", reason="torch is not installed: its drop-ins need it")
    names: dict = {}
    exec(compile(code, str(README), "exec"), names)
    if "schuss.batch_norm" in code:
        assert abs(names["y"].mean()) < 1e-6
        assert abs(names["dx"]).max() < 1e-5
    elif "schuss.torch" in code:
        assert not names["opt"]._step_by_kernels()
    elif "clip_norm" in code:
        assert names["opt"].steps == 10
        np.testing.assert_array_equal(names["half"], names["theta"].astype(np.float16))
    elif "schuss.coordinate" in code:
        assert names["found"].success
        assert set(range(5)) <= set(names["found"].coef.nonzero()[0])
    elif "schuss.minimize" in code:
        assert names["res"].success
    elif "schuss.data" in code:
        assert abs(names["x"] @ names["params"]["w"] + names["params"]["b"] - names["y"]).max() < 0.01
    else:
        assert abs(names["params"]["w"]).max() > 0.3


def test_names_in_the_text_exist():
    import schuss

    for path in set(re.findall(r"`schuss\.([a-z_.A-Z]+)", README.read_text())):
        thing = schuss
        for name in path.rstrip(".").split("."):
            if name == "torch":  # never imported by the package itself
                break
            thing = getattr(thing, name)
