"""The benchmark suite: it is complete, verifies what it times, computes what it claims. No times are judged."""

import copy
import dataclasses
import importlib
import json
import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from schuss import _core
from schuss.benchmark import (
    batch_norm,
    cases,
    compare,
    contestants,
    drop_ins,
    inplace,
    main,
    results,
    suite,
    targets,
    verify,
)
from schuss.benchmark import problems as minimizer_problems
from schuss.benchmark.cases import LISTS, RECIPES, Case, Workload, single
from schuss.benchmark.measure import Effort, measure, order
from schuss.benchmark.results import Result, Run, Spread

ODD = Workload("odd", ((130,), (3, 7), (1,), (2, 5, 13)))
TINY = Effort(rounds=2, budget=0, sample=1e-6, settle=0, warm=0, least=1)
SMALL = ("--threads", "1", "--rounds", "2", "--budget", "0")

RECIPE = {recipe.name: recipe for recipe in RECIPES}


def result(recipe="adam", workload="100000", samples=None, **fields):
    """A fabricated result; samples are single values or lists over the rounds."""
    rounds = {name: v if isinstance(v, list) else [v] * 3 for name, v in (samples or {}).items()}
    elements = int(workload) if workload.isdigit() else LISTS[workload].elements
    rule = RECIPE[recipe].rule
    return Result(recipe, rule, workload, elements, 1, "float32", {}, 28, rounds, **fields)


def fabricated(*found, **fields):
    return Run("2025-01-01T00:00:00+00:00", {"processor": "x", "num_threads": 2}, {}, list(found), **fields)


# ---- completeness ----


def test_every_rule_has_a_benchmark():
    assert cases.without_benchmark() == []


def test_a_rule_without_benchmark_stops_the_suite(monkeypatch):
    monkeypatch.setattr(cases, "RULES", {**_core.rules(), "lion": _core.rules()["sgd"]})
    with pytest.raises(LookupError, match="no benchmark for lion"):
        suite.run(suite.Settings(workloads=[single(10)]))


def test_a_rule_without_inplace_form_is_missing(monkeypatch):
    monkeypatch.delattr(inplace, "adagrad")
    assert cases.without_benchmark() == ["adagrad"]


def test_resnet50_has_its_161_shapes():
    shapes = LISTS["resnet50"].shapes
    assert len(shapes) == 161
    assert LISTS["resnet50"].elements == 25_557_032
    assert shapes[:3] == ((64, 3, 7, 7), (64,), (64,))
    assert shapes[-2:] == ((1000, 2048), (1000,))
    assert sum(len(shape) == 4 for shape in shapes) == 53


@pytest.mark.parametrize(
    ("recipe", "count"),
    [("sgd", 12), ("momentum", 20), ("rmsprop", 20), ("rmsprop-centered", 28), ("adam", 28)],
)
def test_bytes_per_element(recipe, count):
    assert Case(RECIPE[recipe], ODD).bytes_per_element == count
    assert Case(RECIPE[recipe], ODD, "float64").bytes_per_element == 2 * count


# ---- verification ----


def lined_up(recipe, peers, dtype="float32", workload=ODD):
    case = Case(recipe, workload, dtype)
    found = result(recipe.name)
    return suite.line_up(case, peers, found), found


@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.parametrize("recipe", RECIPES, ids=lambda recipe: recipe.name)
def test_numpy_contestants_do_the_same_work(recipe, dtype):
    ready, found = lined_up(recipe, ["numpy", "numpy-inplace"], dtype)
    assert not found.wrong
    assert [c.name for c in ready] == ["schuss", "ceiling", "numpy", "numpy-inplace"]
    assert found.agreement["schuss"] == "book reference, bit for bit"


@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.parametrize("recipe", RECIPES, ids=lambda recipe: recipe.name)
def test_torch_contestants_do_the_same_work(recipe, dtype):
    pytest.importorskip("torch", reason="torch is not installed")
    ready, found = lined_up(recipe, contestants.TORCH, dtype)
    assert not found.wrong
    assert {c.name for c in ready} | set(found.absent) == {"schuss", "ceiling", *contestants.TORCH}


@pytest.mark.parametrize("recipe", RECIPES, ids=lambda recipe: recipe.name)
def test_contestants_own_their_arrays(recipe):
    ready, _ = lined_up(recipe, ["numpy", "numpy-inplace"])
    for i, a in enumerate(ready):
        for b in ready[i + 1 :]:
            shared = [np.shares_memory(p, q) for p, q in zip(a.params, b.params, strict=True)]
            assert all(shared) if (a.name, b.name) == ("schuss", "ceiling") else not any(shared)


@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.parametrize("recipe", RECIPES, ids=lambda recipe: recipe.name)
def test_the_ceiling_moves_the_bytes_of_a_step_and_changes_none(recipe, dtype):
    ours, ceiling = lined_up(recipe, [], dtype)[0]
    moved = sum(len(how) * array.nbytes for _, how, arrays in ours.moves for array in arrays)
    assert moved == Case(recipe, ODD, dtype).bytes_per_element * ODD.elements
    before = copy.deepcopy(ours.moves)
    ceiling.step()
    for (_, _, arrays), (name, _, kept) in zip(ours.moves, before, strict=True):
        for array, right in zip(arrays, kept, strict=True):
            np.testing.assert_array_equal(array, right, err_msg=name, strict=True)


def test_a_wrong_formula_is_caught(monkeypatch):
    right = inplace.adagrad
    monkeypatch.setattr(inplace, "adagrad", lambda *a, lr, **k: right(*a, lr=lr * 1.0001, **k))
    ready, found = lined_up(RECIPE["adagrad"], ["numpy-inplace"])
    assert [c.name for c in ready] == ["schuss", "ceiling"]
    assert "compared elements differ" in found.wrong["numpy-inplace"]


@pytest.mark.parametrize("index", [0, -1, 500_000, 999_999])
@pytest.mark.parametrize("array", ["params", "states"])
def test_one_wrong_bit_of_schuss_is_caught(array, index):
    case = Case(RECIPE["momentum"], single(1_000_001))
    start = contestants.draw(case)
    verifier = verify.Verifier(case, start)
    contestant = contestants.enter("schuss", case, start)
    for _ in range(verify.STEPS):
        contestant.step()
    contestant.step = lambda: None
    assert verifier.objection(contestant) is None
    values = contestant.params[0] if array == "params" else contestant.states["v"][0]
    values[index] = np.nextafter(values[index], np.float32(1))
    assert "1 of 196608 compared elements differ" in verifier.objection(contestant)


def test_a_nan_is_caught():
    case = Case(RECIPE["sgd"], ODD)
    start = contestants.draw(case)
    contestant = contestants.enter("numpy-inplace", case, start)
    contestant.params[1][0, 0] = np.nan
    assert verify.Verifier(case, start).objection(contestant).startswith("params[1]: 1 of 21")


# ---- measurement ----


def test_measure_gives_every_contestant_its_rounds():
    ready, _ = lined_up(RECIPE["sgd"], ["numpy"])
    samples = measure(ready, dataclasses.replace(TINY, rounds=4, budget=100))
    assert list(samples) == ["schuss", "ceiling", "numpy"]
    assert all(len(times) == 4 and min(times) > 0 for times in samples.values())


def test_measure_lets_those_over_budget_sit_out():
    ready, _ = lined_up(RECIPE["sgd"], [])
    samples = measure(ready, dataclasses.replace(TINY, rounds=5, budget=0, least=2))
    assert all([s is None for s in times] == [False, False, True, True, True] for times in samples.values())


def test_order_rotates_and_reverses():
    assert [order("abc", turn) for turn in range(4)] == [list("abc"), list("acb"), list("cab"), list("cba")]


# ---- arithmetic ----


def test_spread_has_quartiles():
    assert results.spread([5.0, 1.0, 3.0, 2.0, 4.0]) == Spread(3, 2, 4)
    assert results.spread([7.0]) == Spread(7, 7, 7)


def test_ratios_pair_samples_of_one_round():
    r = result(samples={"schuss": [1.0, 2.0, 4.0, None], "numpy": [3.0, 6.0, None, 9.0]})
    assert r.speedup("numpy") == Spread(3, 3, 3)


def test_gigabytes_per_second():
    assert result(samples={"schuss": 28e-6}).gigabytes_per_second == pytest.approx(100)


def findings(*found):
    return {f.target.claim: f for f in targets.evaluate(found)}


def test_fraction_of_the_ceiling_is_the_worst_rules():
    found = findings(
        result("adam", "10000000", {"schuss": 1.0, "ceiling": 0.97}),
        result("sgd", "50000000", {"schuss": 1.0, "ceiling": 0.9}),
        result("sgd", "1000000", {"schuss": 1.0, "ceiling": 0.86}),
        result("sgd", "resnet50", {"schuss": 1.0, "ceiling": 0.1}),
    )
    large = found["fraction of the ceiling, every rule, n ≥ 10⁷"]
    assert large.reached == targets.Reached(Spread(0.9, 0.9, 0.9), "least: sgd 50000000", 2)
    assert large.verdict == "short"
    assert found["fraction of the ceiling, every rule, n = 10⁶"].verdict == "ok"
    assert len(found) == 2


def test_numpy_target_is_a_geometric_mean_without_variants_and_small_sizes():
    found = findings(
        result("adam", "100000", {"schuss": 1.0, "numpy": 4.0}),
        result("sgd", "1000000", {"schuss": 1.0, "numpy": 9.0}),
        result("sgd", "1000", {"schuss": 1.0, "numpy": 1000.0}),
        result("rmsprop-centered", "100000", {"schuss": 1.0, "numpy": 1000.0}),
    )
    assert list(found) == ["× NumPy's textbook expressions, n ≥ 10⁵"]
    reached = found["× NumPy's textbook expressions, n ≥ 10⁵"].reached
    assert reached.value.median == pytest.approx(6)
    assert reached.count == 2


def test_torch_targets_take_the_fastest_form():
    found = findings(
        result("adadelta", "resnet50", {"schuss": 1.0, "torch": 5.0, "torch-foreach": 4.5}),
        result("adamw", "200x1000", {"schuss": 1.0, "torch": 5.0, "torch-fused": 11.0}),
    )
    assert found["× torch's best: AdaDelta, ResNet-50"].reached.value.median == 4.5
    assert "torch-foreach" in found["× torch's best: AdaDelta, ResNet-50"].reached.where
    assert found["× torch fused: AdamW, 200 tensors of 1000"].verdict == "ok"


def test_cost_growth_is_relative_to_the_ceilings():
    found = findings(
        result("adam", "100000", {"schuss": 10.0, "ceiling": 8.0}),
        result("adam", "50000000", {"schuss": 10_000.0, "ceiling": 9_600.0}),
        result("sgd", "100000", {"schuss": 1.0, "ceiling": 1.0}),
    )
    growth = found["cost growth 10⁵ → 5·10⁷: the ceiling's / every rule's"]
    assert growth.reached.value.median == pytest.approx(0.96 / 0.8)
    assert (growth.verdict, growth.reached.count) == ("ok", 1)


def test_a_median_just_short_is_within_spread():
    samples = {"schuss": 1.0, "ceiling": [0.7, 0.74, 0.8]}
    (finding,) = targets.evaluate([result(samples=samples)])
    assert finding.verdict == "within spread"


def test_no_data_no_findings():
    assert targets.evaluate([]) == []


# ---- comparison ----


@pytest.mark.parametrize(
    ("new", "verdict"),
    [
        ({"schuss": 1.0, "ceiling": 0.8}, ""),
        ({"schuss": 2.0, "ceiling": 1.6}, ""),  # a slower machine
        ({"schuss": 0.9, "ceiling": 0.8}, "faster"),
        ({"schuss": 1.2, "ceiling": 0.8}, "slower"),
        ({"schuss": 0.98, "ceiling": 0.8}, ""),  # a trifle
        ({"schuss": [0.8, 0.9, 1.3], "ceiling": 0.8}, ""),  # noise
        ({"schuss": 0.9}, "faster"),
    ],
)
def test_changes_beyond_the_noise(new, verdict):
    old = result(samples={"schuss": 1.0, "ceiling": 0.8})
    assert compare.change(old, result(samples=new)).verdict == verdict


def test_only_common_cases_are_compared():
    times = {"schuss": 1.0}
    old = fabricated(result("adam", samples=times), result("sgd", samples=times))
    new = fabricated(result("sgd", samples=times), result("adagrad", samples=times))
    assert [c.new.recipe for c in compare.changes(old, new)] == ["sgd"]


def test_runs_survive_json():
    run = fabricated(result(samples={"schuss": [1.0, None], "ceiling": [0.5, 0.5]}, absent={"torch": "missing"}))
    assert results.from_json(run.to_json([])) == run


# ---- the command ----


def test_a_run_writes_tables_and_json_and_compares_with_itself(tmp_path, capsys):
    file = tmp_path / "run.json"
    arguments = ["--rules", "adam", "sgd", "--sizes", "1e3", "100000", "--lists", "200x1000"]
    assert main([*arguments, "--peers", "numpy", "numpy-inplace", *SMALL, "--json", str(file)]) == 0
    out, err = capsys.readouterr()
    assert err == ""
    assert "200 tensors of 1000" in out
    assert "a call" in out
    assert "targets" in out
    document = json.loads(file.read_text())
    assert document["machine"]["num_threads"] == 1
    assert [(r["recipe"], r["workload"]) for r in document["results"]] == [
        (recipe, workload) for workload in ("1000", "100000", "200x1000") for recipe in ("sgd", "adam")
    ]
    first = document["results"][0]
    assert set(first["samples"]) == {"schuss", "ceiling", "numpy", "numpy-inplace"}
    assert first["summary"]["of_ceiling"]["median"] > 0
    assert len(document["targets"]) == 3
    assert main(["--compare", str(file), str(file)]) == 0
    assert "6 cases: 0 faster, 0 slower, 6 as before" in capsys.readouterr().out


def test_bench_run_is_the_same_command():
    script = Path(__file__).parents[1] / "bench" / "run.py"
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join(filter(None, sys.path))}
    arguments = ["--rules", "sgd", "--sizes", "10", "--peers", *SMALL]
    done = subprocess.run([sys.executable, script, *arguments], env=environment, capture_output=True, text=True)
    assert (done.returncode, done.stderr) == (0, "")
    assert "sgd" in done.stdout


def test_without_torch_its_contestants_are_skipped_with_a_word(monkeypatch, capsys):
    load = importlib.import_module

    def without_torch(name, *arguments):
        if name == "torch":
            raise ModuleNotFoundError("No module named 'torch'", name="torch")
        return load(name, *arguments)

    monkeypatch.setattr(importlib, "import_module", without_torch)
    assert main(["--rules", "sgd", "--sizes", "10", "--peers", "torch", "torch-fused", *SMALL]) == 0
    assert "torch is not installed" in capsys.readouterr().out


def test_without_rich_one_line_says_what_to_install(monkeypatch, capsys):
    find = importlib.util.find_spec
    monkeypatch.setattr(importlib.util, "find_spec", lambda name, *a: None if name == "rich" else find(name, *a))
    assert main(["--quick"]) == 1
    assert capsys.readouterr().err == "schuss bench: its tables need rich: pip install 'schuss[bench]'\n"


def test_a_wrong_contestant_is_not_timed_and_fails_the_run(monkeypatch, capsys):
    monkeypatch.setattr(inplace, "sgd", lambda theta, g, **options: None)
    assert main(["--rules", "sgd", "--sizes", "10", "--peers", "numpy-inplace", *SMALL]) == 1
    assert "wrong numpy-inplace, sgd 10, not timed: params[0]: 10 of 10" in capsys.readouterr().out


def test_an_interrupted_run_shows_and_writes_what_it_has(monkeypatch, tmp_path, capsys):
    finished = suite.measure_case

    def interrupted(case, settings):
        if case.recipe.name == "adam":
            raise KeyboardInterrupt
        return finished(case, settings)

    monkeypatch.setattr(suite, "measure_case", interrupted)
    file = tmp_path / "run.json"
    assert main(["--rules", "sgd", "adam", "--sizes", "10", "--peers", *SMALL, "--json", str(file)]) == 130
    assert "interrupted" in capsys.readouterr().out
    document = json.loads(file.read_text())
    assert document["interrupted"] is True
    assert [r["recipe"] for r in document["results"]] == ["sgd"]


def test_a_case_larger_than_memory_is_skipped_with_a_word(monkeypatch, capsys):
    monkeypatch.setattr(suite, "free_memory", lambda: 10**6)
    assert main(["--rules", "sgd", "--sizes", "1e6", "--peers", *SMALL]) == 0
    assert "skipped sgd 1000000: needs" in capsys.readouterr().out


def test_quick_runs_every_recipe():
    from schuss.benchmark import arguments

    quick = arguments.settings(arguments.parse(["--quick"]))
    assert len(quick.cases) == 2 * len(RECIPES)
    assert quick.effort.rounds == 3


def test_by_default_everything_runs():
    from schuss.benchmark import arguments

    everything = arguments.settings(arguments.parse([]))
    assert [w.name for w in everything.workloads] == [*map(str, cases.SIZES), *LISTS]
    assert len(everything.recipes) == len(RECIPES)
    assert everything.peers == list(contestants.PEERS)


WRONG = [
    (["--rules", "lion"], "argument --rules: invalid choice: 'lion'"),
    (["--sizes", "many"], "argument --sizes: 'many' is no number of elements"),
    (["--sizes", "0"], "argument --sizes: '0' is no number of elements"),
    (["--sizes", "1.5"], "argument --sizes: '1.5' is no number of elements"),
    (["--sizes", "inf"], "argument --sizes: 'inf' is no number of elements"),
    (["--lists", "resnet18"], "argument --lists: invalid choice: 'resnet18'"),
    (["--peers", "jax"], "argument --peers: invalid choice: 'jax'"),
    (["--threads", "0"], "argument --threads: '0' is no integer of at least 1"),
    (["--rounds", "x"], "argument --rounds: 'x' is no integer of at least 1"),
    (["--budget", "nan"], "argument --budget: 'nan' is no number of seconds"),
    (["--json", "/no/such/place/x.json"], "argument --json: '/no/such/place/x.json' is no file in an existing"),
    (["--frobnicate"], "unrecognized arguments: --frobnicate"),
    (["--compare", "a.json"], "argument --compare: expected 2 arguments"),
    (["--compare", "a.json", "b.json", "--quick"], "--compare goes alone, without --quick"),
    (["--compare", "/no/a.json", "/no/b.json"], "/no/a.json: No such file or directory"),
]


@pytest.mark.parametrize(("arguments", "message"), WRONG, ids=lambda value: " ".join(value)[:40])
def test_wrong_arguments_get_one_line_and_exit_code_2(arguments, message, capsys):
    assert main(arguments) == 2
    out, err = capsys.readouterr()
    assert out == ""
    assert err.startswith(f"schuss bench: {message}")
    assert err.count("\n") == 1


@pytest.mark.parametrize("text", ["", "[]", "{}", '{"format": 1}', '{"format": 2}'])
def test_comparing_something_else_gets_one_line(text, tmp_path, capsys):
    file = tmp_path / "x.json"
    file.write_text(text)
    assert main(["--compare", str(file), str(file)]) == 2
    assert capsys.readouterr().err.startswith(f"schuss bench: {file}: ")


# ---- batch normalization ----


@pytest.mark.parametrize("kind", batch_norm.KINDS)
@pytest.mark.parametrize(("shape", "axis"), [((50, 7), -1), ((3, 5, 9, 4), 1), ((3, 9, 4, 5), -1)], ids=str)
def test_the_contestants_of_batch_normalization_are_verified(kind, shape, axis):
    found = batch_norm.measure_case(batch_norm.Case(kind, "tiny", shape, axis), batch_norm.PEERS, TINY)
    assert not found.wrong
    assert {"schuss", "numpy"} <= set(found.samples)
    assert ("ceiling" in found.samples) == (kind != "forward+residual+relu")


def test_a_wrong_batch_normalization_is_not_timed(monkeypatch):
    monkeypatch.setattr(batch_norm.Call, "numpy", lambda call: lambda: call.x)
    case = batch_norm.Case("forward", "tiny", (50, 7), -1)
    found = batch_norm.measure_case(case, ["numpy"], TINY)
    assert found.wrong["numpy"].startswith("the result is off by")
    assert "numpy" not in found.samples


def test_the_targets_of_batch_normalization():
    samples = {"schuss": [1.0] * 3, "torch": [4.0] * 3, "ceiling": [0.8] * 3}
    made = [
        Result(kind, "batch_norm", name, 10, 1, "float32", {}, 12, samples)
        for kind in batch_norm.KINDS
        for name, _, _ in batch_norm.SHAPES
    ]
    findings = targets.evaluate(made, batch_norm.TARGETS)
    assert len(findings) == len(batch_norm.TARGETS)
    assert {finding.verdict for finding in findings} == {"ok"}
    assert targets.evaluate([], batch_norm.TARGETS) == []


def test_the_suite_of_batch_normalization_runs_and_has_options_of_its_own(tmp_path, capsys):
    file = tmp_path / "run.json"
    few = ("--peers", "numpy", "--threads", "1", "--rounds", "1", "--budget", "0")
    assert main(["--suite", "batch_norm", "--quick", *few, "--json", str(file)]) == 0
    run = json.loads(file.read_text())
    assert {r["recipe"] for r in run["results"]} == set(batch_norm.KINDS)
    assert "256×1024" in capsys.readouterr().out
    assert main(["--suite", "batch_norm", "--rules", "adam"]) == 2
    assert "--suite batch_norm has no --rules" in capsys.readouterr().err


# ---- the suite of the minimisers ----


def test_the_suites_have_their_own_arguments(capsys):
    assert main(["--suite", "bogus"]) == 2
    assert "invalid choice: 'bogus'" in capsys.readouterr().err
    assert main(["--suite", "optimizers", "--compare", "a", "b", "--quick"]) == 2
    with pytest.raises(SystemExit):
        main(["--suite", "minimize", "--help"])
    assert "--suite minimize" in capsys.readouterr().out


def test_the_suite_of_the_minimisers_measures(tmp_path, monkeypatch):
    pytest.importorskip("scipy")
    from functools import partial

    from schuss.benchmark import minimizers

    def few(quick):
        yield partial(minimizers.large, "cg", 50, 4.0)
        yield partial(minimizers.batch, 200)
        yield partial(minimizers.bfgs_against_ceiling, 40)

    monkeypatch.setattr(minimizers, "benches", few)
    file = tmp_path / "run.json"
    assert main(["--suite", "minimize", "--quick", "--rounds", "2", "--json", str(file)]) == 0
    run = json.loads(file.read_text())
    assert len(run["samples"]) == 3
    assert set(run["evaluations"]) == {"bfgs", "cg", "lbfgs"}
    assert len(run["targets"]) == 6


def test_evaluations_are_no_more_than_scipys():
    pytest.importorskip("scipy")
    from schuss.benchmark import minimizers

    counts, _ = minimizers.evaluations()
    totals = {
        method: [sum(pair[i] for pair in problems.values()) for i in (0, 1)] for method, problems in counts.items()
    }
    for method, limit in (("bfgs", 0.8), ("cg", 0.8), ("lbfgs", 1.0)):
        ours, theirs = totals[method]
        assert ours <= limit * theirs, method


# ---- the suite of coordinate descent ----


def test_the_suite_of_coordinate_descent_measures(tmp_path, monkeypatch):
    pytest.importorskip("sklearn")
    from functools import partial

    from schuss.benchmark import coordinate

    def few(quick):
        yield partial(coordinate.diabetes, 1.0)
        yield partial(coordinate.random_design, 40, 60, 0.1)
        yield partial(coordinate.encode, "lasso_lars", 20, 10)
        yield partial(coordinate.dictionary, 30, 6, 2)

    monkeypatch.setattr(coordinate, "benches", few)
    file = tmp_path / "run.json"
    assert main(["--suite", "coordinate", "--quick", "--rounds", "2", "--json", str(file)]) == 0
    run = json.loads(file.read_text())
    assert len(run["samples"]) == len(run["targets"]) == 4


def test_a_wrong_coordinate_descent_fails_the_run(monkeypatch, capsys):
    pytest.importorskip("sklearn")
    from schuss.benchmark import coordinate

    monkeypatch.setattr(coordinate, "lasso_objective", lambda *arguments: 0.0)
    assert main(["--suite", "coordinate", "--quick", "--rounds", "1"]) == 1
    assert "not the same optimum" in capsys.readouterr().err


@pytest.mark.parametrize("problem", minimizer_problems.PROBLEMS, ids=lambda problem: problem.name)
def test_the_gradients_of_the_problems_are_those_of_differences(problem):
    x = problem.start() + 0.1
    _, g = problem.fun(x)
    for i in range(min(len(x), 8)):
        h = np.zeros_like(x)
        h[i] = 1e-6
        slope = (problem.fun(x + h)[0] - problem.fun(x - h)[0]) / 2e-6
        assert slope == pytest.approx(g[i], rel=1e-5, abs=1e-4)


# ---- the drop-ins ----


@pytest.mark.parametrize("recipe", drop_ins.DROP_INS, ids=lambda recipe: recipe.name)
def test_the_drop_ins_do_the_work_of_torchs_loop(recipe):
    pytest.importorskip("torch", reason="torch is not installed: its drop-ins need it")
    result = drop_ins.measure_case(Case(recipe, ODD), drop_ins.ANY, TINY)
    assert not result.wrong
    assert {"schuss", "torch", "torch-foreach", "ceiling"} <= set(result.samples) | set(result.absent)


def test_a_drop_in_that_does_something_else_is_found_out():
    pytest.importorskip("torch", reason="torch is not installed: its drop-ins need it")
    case = Case(drop_ins.DROP_INS[0], ODD)
    loop, other = drop_ins.enter("torch", case), drop_ins.enter("schuss", case)
    assert drop_ins.objection(other, loop) is None
    other.tensors["params"][1].data[0] += 1
    assert drop_ins.objection(other, loop).startswith("params[1] is off by")


@pytest.mark.parametrize("recipe", drop_ins.DROP_INS, ids=lambda recipe: recipe.name)
def test_the_drop_ins_are_timed_in_one_memory(recipe):
    pytest.importorskip("torch", reason="torch is not installed: its drop-ins need it")
    case = Case(recipe, ODD)
    ready = drop_ins.line_up(case, drop_ins.ANY, result(recipe.name))
    ours = next(c for c in ready if c.name == "schuss")
    assert sum(len(how) * a.nbytes for _, how, arrays in ours.moves for a in arrays) == (
        case.bytes_per_element * ODD.elements
    )
    for contestant in ready:
        before = [p.copy() for p in ours.params]
        contestant.step()
        stays = [np.array_equal(p, q) for p, q in zip(ours.params, before, strict=True)]
        assert all(stays) if contestant.name == "ceiling" else not any(stays)


def test_the_torch_suite_has_no_sizes():
    assert main(["--suite", "torch", "--sizes", "1000"]) == 2
