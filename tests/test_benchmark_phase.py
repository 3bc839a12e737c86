"""The benchmark of all that is around a step verifies what it times and counts what it moves. No times are judged."""

import dataclasses
import importlib
import json

import pytest

from schuss.benchmark import main, phase, targets
from schuss.benchmark.cases import Workload, single
from schuss.benchmark.contestants import Contestant, UnavailableError, ceiling
from schuss.benchmark.measure import Effort
from schuss.benchmark.phase_cases import CONFIGURATIONS, TORCH, Case, Configuration, Own, few, objection
from schuss.benchmark.results import Result

ODD = Workload("odd", ((130,), (3, 7), (1,), (2, 5, 13)))
LONG = single(70_001)
WHOLE = Workload("whole", ((512,), (256, 3)))  # as many values to a scale as there can be
TINY = Effort(rounds=2, budget=0, sample=1e-6, settle=0, warm=0, least=1)
SMALL = ("--sizes", "1000", "--threads", "1", "--rounds", "2", "--budget", "0")

BY_NAME = {c.name: c for c in CONFIGURATIONS}
THREE = BY_NAME["clip, average"]

MOVED = {  # bytes per element: θ, then the states, the gradient, and what else there is
    "clip, average": 8 + 16 + 2 * 4 + 8,
    "clip, average, 8-bit state": 8 + 4.0625 + 2 * 4 + 8,
    "8-bit state": 8 + 4.0625 + 4,
    "bfloat16 state": 8 + 8 + 4,
    "mixed precision": 8 + 16 + 2 * 2 + 2,
    "pure bfloat16": 4 + 8 + 2 * 2,
    "zero_grad": 8 + 16 + 8,
}


def start(configuration: Configuration, workload: Workload = LONG) -> Own:
    if "bfloat16" in (configuration.params, configuration.grads):
        pytest.importorskip("ml_dtypes", reason="ml_dtypes is not installed: NumPy needs it for bfloat16")
    return Own(configuration, Case(configuration, workload).start())


# ---- verification ----


@pytest.mark.parametrize("configuration", CONFIGURATIONS, ids=lambda c: c.name)
def test_every_configuration_is_verified_and_timed(configuration):
    start(configuration, ODD)
    found = phase.measure_case(Case(configuration, ODD), TORCH, TINY)
    assert not found.wrong
    assert {"schuss", "ceiling", *configuration.peers} == set(found.samples) | set(found.absent)


@pytest.mark.parametrize("configuration", CONFIGURATIONS, ids=lambda c: c.name)
def test_every_configuration_equals_the_reference_in_more_than_one_chunk(configuration):
    assert objection(start(configuration)) is None


@pytest.mark.parametrize(
    ("name", "option", "value", "message"),
    [
        ("clip, average", "clip_norm", 0.5, "params[0]: "),
        ("clip, average", "average_decay", 0.9, "average[0]: "),
        ("8-bit state", "seed", 1, "params[0]: "),
        ("bfloat16 state", "rounding", "nearest", "params[0]: "),
        ("mixed precision", "grad_scale", 2.0, "grad_norm is "),
        ("zero_grad", "zero_grad", False, "params[0]: "),
    ],
)
def test_a_configuration_that_does_something_else_is_found_out(name, option, value, message):
    own = start(BY_NAME[name])
    own.optimizer.phase[option] = value
    assert objection(own).startswith(message)


def test_torch_without_the_clipping_is_found_out():
    pytest.importorskip("torch", reason="torch is not installed: its calls need it")
    case = Case(THREE, LONG)
    assert phase.torch_entry("torch-fused", case, case.start())[1] is None
    unclipped = Case(dataclasses.replace(THREE, phase={**THREE.phase, "clip_norm": 1e9}), LONG)
    contestant = phase.torch_calls("torch-fused", unclipped, unclipped.start())
    own = start(THREE)
    for _ in range(3):
        own.step()
    assert "[0] is off by" in phase.strayed(contestant, {"params": own.params, **own.states})


def test_a_wrong_contestant_is_not_timed_and_fails_the_run(monkeypatch, capsys):
    monkeypatch.setattr(phase, "objection", lambda own: "params[0]: wrong")
    assert main(["--suite", "phase", "--peers", *SMALL]) == 1
    assert "wrong schuss, zero_grad 1000, not timed: params[0]: wrong" in capsys.readouterr().out


# ---- what is moved ----


@pytest.mark.parametrize("configuration", CONFIGURATIONS, ids=lambda c: c.name)
def test_the_ceiling_moves_the_bytes_of_a_step(configuration):
    assert configuration.bytes_per_element == MOVED[configuration.name]
    own = start(configuration, WHOLE)
    moved = sum(len(how) * array.nbytes for _, how, arrays in own.moves for array in arrays)
    assert moved == configuration.bytes_per_element * WHOLE.elements


@pytest.mark.parametrize("configuration", CONFIGURATIONS, ids=lambda c: c.name)
def test_the_ceiling_changes_no_step(configuration):
    own = start(configuration, ODD)
    contestant = Contestant("schuss", own.step, own.params, moves=own.moves)
    ceiling(contestant).step()
    assert objection(own) is None


def test_few_are_the_first_tensors():
    assert few(LONG).elements == few(single(10**9)).elements == 70_001
    assert few(single(3)).shapes == ((3,),)
    assert few(ODD).shapes == ODD.shapes
    assert few(Workload("x", ((1000,), (10**6,), (1,)))).shapes == ((1000,),)


# ---- targets ----


def test_the_targets_of_the_phase():
    samples = {"schuss": [1.0] * 3, "torch-fused": [2.4] * 3, "schuss-float32": [1.4] * 3, "ceiling": [0.95] * 3}
    made = [
        Result(c.name, "adamw", workload, 5 * 10**7, 1, "float32", {}, 40, samples)
        for c in CONFIGURATIONS
        for workload in ("50000000", "resnet50")
    ]
    findings = targets.evaluate(made, phase.TARGETS)
    assert len(findings) == len(phase.TARGETS) == 3 + len(CONFIGURATIONS)
    assert [f.target.claim for f in findings if f.verdict != "ok"] == ["× own float32 state: 8-bit state, n = 5·10⁷"]
    assert targets.evaluate(made[1::2], phase.TARGETS)[0].reached.where == "resnet50"


# ---- the command ----


def test_the_suite_writes_tables_and_json(tmp_path, capsys):
    file = tmp_path / "run.json"
    assert main(["--suite", "phase", "--quick", "--peers", "torch-fused", *SMALL, "--json", str(file)]) == 0
    assert "float32" in capsys.readouterr().out
    run = json.loads(file.read_text())
    done = {r["recipe"] for r in run["results"]} | {case.removesuffix(" 1000") for case in run["skipped"]}
    assert done == set(BY_NAME)
    assert all(r["bytes_per_element"] == MOVED[r["recipe"]] for r in run["results"])


def test_without_bfloat16_its_configurations_are_skipped_with_a_word(monkeypatch, capsys):
    load = importlib.import_module

    def without_ml_dtypes(name, *arguments):
        if name == "ml_dtypes":
            raise ModuleNotFoundError("No module named 'ml_dtypes'", name="ml_dtypes")
        return load(name, *arguments)

    monkeypatch.setattr(importlib, "import_module", without_ml_dtypes)
    with pytest.raises(UnavailableError, match="ml_dtypes is not installed"):
        Own(BY_NAME["pure bfloat16"], Case(BY_NAME["pure bfloat16"], ODD).start())
    assert main(["--suite", "phase", "--peers", *SMALL]) == 0
    assert "skipped pure bfloat16 1000: ml_dtypes is not installed" in capsys.readouterr().out


@pytest.mark.parametrize("option", [("--rules", "adam"), ("--dtype", "float64")], ids=str)
def test_the_suite_has_no_rules_and_no_dtype(option, capsys):
    assert main(["--suite", "phase", *option]) == 2
    assert capsys.readouterr().err == f"schuss bench: --suite phase has no {option[0]}\n"
