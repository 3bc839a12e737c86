"""The options of `schuss train` beyond the plain run: what goes together, what they do, and that they resume."""

import dataclasses
import importlib.util
import re

import numpy as np
import pytest

from schuss import schedules
from schuss.cli import main
from schuss.streams import Purpose, stream
from schuss.training import build, checkpoint
from schuss.training.command import EXTRA
from schuss.training.conflicts import conflict
from schuss.training.options import BIAS_INITS, CURRICULA, INITS, ORDERS, SCHEDULES, Options, flag
from schuss.training.recipes import RECIPES
from test_cli import SMALL, comparable, metrics

needs_extra = pytest.mark.skipif(
    any(importlib.util.find_spec(module) is None for module in EXTRA), reason="needs schuss[train]"
)

NUMBER = "must be a positive number"

WRONG = [
    ("--init xavier", "argument --init: invalid choice: 'xavier'"),
    ("--bias-init ones", "argument --bias-init: invalid choice: 'ones'"),
    ("--schedule sine", "argument --schedule: invalid choice: 'sine'"),
    ("--momentum-schedule up", "argument --momentum-schedule: invalid choice: 'up'"),
    ("--average mean", "argument --average: invalid choice: 'mean'"),
    ("--order sorted", "argument --order: invalid choice: 'sorted'"),
    ("--curriculum hard", "argument --curriculum: invalid choice: 'hard'"),
    ("--warmup -1", "argument --warmup: must be an integer of at least 0, got '-1'"),
    ("--average-decay 1", r"argument --average-decay: must be a number in \[0, 1\), got '1'"),
    ("--clip-norm 0", f"argument --clip-norm: {NUMBER}, got '0'"),
    ("--clip-value inf", f"argument --clip-value: {NUMBER}, got 'inf'"),
    ("--min-delta -1", "argument --min-delta: must be a number of at least 0, got '-1'"),
    ("--min-delta nan", "argument --min-delta: must be a number of at least 0, got 'nan'"),
    ("--recurrent-gain x", f"argument --recurrent-gain: {NUMBER}, got 'x'"),
    ("--depth 1", "argument --depth: must be an integer of at least 2, got '1'"),
    ("--pretrain 0", "argument --pretrain: must be an integer of at least 1, got '0'"),
    ("--transfer 0", "argument --transfer: must be an integer of at least 1, got '0'"),
    (f"--seed {2**128}", f"argument --seed: must be an integer of at most {2**128 - 1}, got '{2**128}'"),
    (f"--epochs {10**24}", f"argument --epochs: must be an integer of at most {10**9}, got '{10**24}'"),
    (f"--warmup 1{'0' * 5000}", f"argument --warmup: must be an integer of at most {10**9}, got '10+'"),
    ("--hidden 8,100001", "argument --hidden: must be an integer of at most 100000, got '100001'"),
    ("--depth 10001", "argument --depth: must be an integer of at most 10000, got '10001'"),
    ("--recurrent-gain 1e300", "argument --recurrent-gain: must be at most 1e[+]06, got '1e300'"),
    ("--hints 2.5", "argument --hints: must be an integer of at least 1, got '2.5'"),
]

CONFLICTS = [
    ("--recurrent --depth 3", "--recurrent does not go with --depth 3"),
    ("--recurrent --residual", "--recurrent does not go with --residual"),
    ("--recurrent --batch-norm", "--recurrent does not go with --batch-norm"),
    ("--recurrent --pretrain 2", "--recurrent does not go with --pretrain 2"),
    ("--recurrent --hints 2", "--recurrent does not go with --hints 2"),
    ("--recurrent --hidden 8,8", "--recurrent has one hidden layer, got --hidden 8,8"),
    ("--recurrent --init lsuv", "--init lsuv does not go with --recurrent: .*"),
    ("--recurrent --bias-init constant", "--bias-init constant is for ReLUs, which --recurrent has none of"),
    ("--recurrent-gain 2", "--recurrent-gain 2 needs --recurrent"),
    ("--hidden 10001,10001", "--hidden and --depth make 100020001 weights, expected at most 100000000, got .*"),
    ("--depth 3 --hidden 8,9", "--depth 3 repeats one width of --hidden, got --hidden 8,9"),
    ("--residual --hidden 8,9", "--residual needs hidden layers of one width, got --hidden 8,9"),
    ("--residual --hidden 8", "--residual needs at least two hidden layers, got --hidden 8"),
    ("--residual --depth 2", "--residual needs at least two hidden layers, got --depth 2"),
    ("--bias-init constant --batch-norm", "--bias-init constant does not go with --batch-norm, .*"),
    ("--warmup 5 --epochs 5", "--warmup must be less than --epochs 5, got 5"),
    ("--schedule step --optimizer delta-bar-delta", "--schedule step needs an optimizer that takes a schedule, got .*"),
    ("--warmup 1 --optimizer delta-bar-delta", "--warmup 1 needs an optimizer that takes a schedule, got .*"),
    ("--momentum-schedule ramp", "--momentum-schedule ramp needs an optimizer with momentum, got --optimizer adam"),
    ("--average ema --batch-norm", "--average ema does not go with --batch-norm: .*"),
    ("--average-decay 0.9", "--average-decay 0.9 needs --average ema"),
    ("--average uniform --average-decay 0.9", "--average-decay 0.9 needs --average ema"),
    ("--no-early-stopping --patience 3", "--patience 3 does not go with --no-early-stopping"),
    ("--no-early-stopping --min-delta 0.1", "--min-delta 0.1 does not go with --no-early-stopping"),
    ("--pretrain 1 --hints 2 --hidden 8,8", "--pretrain 1 does not go with --hints 2"),
    ("--pretrain 1 --transfer 2 --hidden 8,8", "--pretrain 1 does not go with --transfer 2"),
    ("--transfer 1 --hints 2 --hidden 8,8", "--transfer 1 does not go with --hints 2"),
    ("--pretrain 1 --residual --depth 5", "--pretrain 1 does not go with --residual: .*"),
    ("--pretrain 1 --hidden 8", "--pretrain 1 needs at least two hidden layers, got --hidden 8"),
    ("--hints 1 --depth 2", "--hints 1 needs at least two hidden layers, got --depth 2"),
    ("--order stream", "--order stream goes through the data once, expected --epochs 1, got 100"),
    ("--order stream --epochs 1 --transfer 2", "--order stream goes .* once, expected --transfer 1, got 2"),
    ("--curriculum naive --order stream --epochs 1", "--curriculum naive has an order of its own, got --order stream"),
    ("--full-batch --optimizer cg --hidden 8", "--full-batch does not go with --hidden 8"),
    ("--full-batch --optimizer cg --init lsuv", "--full-batch does not go with --init lsuv"),
    ("--full-batch --optimizer cg --no-early-stopping", "--full-batch does not go with --no-early-stopping"),
    ("--full-batch --optimizer cg --clip-norm 1", r"--full-batch does not go with --clip-norm 1\.0"),
]


@pytest.mark.parametrize(("options", "message"), WRONG)
def test_a_wrong_value_is_refused_in_one_line(options, message, capsys, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    with pytest.raises(SystemExit) as exit:
        main(["train", *options.split()])
    assert exit.value.code == 2
    assert re.search(message, capsys.readouterr().err.splitlines()[-1])
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize(("options", "message"), CONFLICTS)
def test_options_that_do_not_go_together_are_refused_before_any_work(options, message, capsys, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    assert main(["train", *options.split()]) == 2
    assert re.fullmatch(f"schuss train: error: {message}\n", capsys.readouterr().err)
    assert not list(tmp_path.iterdir())


def test_every_option_is_shown_in_the_help(capsys):
    with pytest.raises(SystemExit):
        main(["train", "--help"])
    shown = capsys.readouterr().out
    assert not [field.name for field in dataclasses.fields(Options) if f"--{flag(field.name)}" not in shown]


def test_every_option_decides_or_is_known_not_to():
    harmless = {"optimizers", "epochs", "threads", "out", "resume", "full_batch", "depth"}
    names = {flag(field.name) for field in dataclasses.fields(Options) if field.name not in harmless}
    assert names <= set(Options().decisive("adam"))


# ---- what they build ----


def options(text: str = "", **more) -> Options:
    """The options of a command line, as `schuss train` gets them."""
    from schuss.cli import _parser

    arguments = vars(_parser().parse_args(["train", *text.split()]))
    arguments.pop("command")
    return dataclasses.replace(Options(**arguments), **more)


@needs_extra
@pytest.mark.parametrize("init", INITS)
@pytest.mark.parametrize("network", ["--hidden 12,3,12", "--depth 6 --hidden 4 --residual", "--recurrent --hidden 6"])
@pytest.mark.parametrize("more", ["", "--batch-norm"])
def test_every_initialization_suits_every_network_it_goes_with(init, network, more):
    chosen = options(f"{network} --init {init} {more}")
    if conflict(chosen) is None:
        training = build.task(digits(), chosen).training
        first, again = (build.network(chosen, training) for _ in range(2))
        for name, array in first.state.items():
            np.testing.assert_array_equal(array, again.state[name])
        assert np.isfinite(first.forward(training.x[:50])).all()


def digits():
    from schuss.training.data import load_digits

    return load_digits(stream(0, Purpose.SPLIT), "float32")


@needs_extra
def test_biases_begin_as_they_were_asked_to():
    training = digits().training
    shares = np.bincount(training.y) / len(training.y)
    for rule in BIAS_INITS:
        params = build.network(options(f"--hidden 4,4 --bias-init {rule}"), training).params
        assert np.all(params["0.bias"] == np.float32(0.1 if rule == "constant" else 0))
        expected = np.log(shares) if rule == "log-odds" else np.zeros(10)
        np.testing.assert_allclose(params["4.bias"], expected, rtol=1e-6)


def test_depth_counts_dense_layers():
    assert options("--depth 50 --hidden 7").layers() == (7,) * 49


@pytest.mark.parametrize("schedule", SCHEDULES)
def test_a_schedule_ends_with_the_last_epoch_and_begins_after_the_warm_up(schedule):
    chosen = options(f"--schedule {schedule} --warmup 2 --epochs 12 --lr 0.5")
    rates = build.optimizer(chosen, "sgd", {"w": np.zeros(1)}, 10).groups[0]["lr"]
    assert rates(0) == pytest.approx(0.5 / 21)
    assert rates(20) == pytest.approx(0.5)
    ends = {"constant": 0.5, "cosine": 0.0}
    assert rates(120) == pytest.approx(ends.get(schedule, 0.005), abs=1e-12)


def test_a_schedule_goes_to_the_optimizers_that_take_one():
    chosen = options("--schedule linear --momentum-schedule linear --optimizer all", epochs=10)
    assert conflict(chosen) is None
    for name in RECIPES:
        group = build.optimizer(chosen, name, {"w": np.zeros(1)}, 10).groups[0]
        assert isinstance(group["lr"], schedules.Schedule) == (name != "delta-bar-delta")
        ramp = name in ("momentum", "nesterov", "rmsprop-nesterov")
        assert isinstance(group.get("momentum"), schedules.Schedule) == ramp
        if ramp:
            assert (group["momentum"](0), group["momentum"](100)) == (0.5, 0.9)


# ---- what they do ----

TRAINED = [
    *(f"--order {order} --epochs 1" for order in ORDERS),
    *(f"--curriculum {strategy}" for strategy in CURRICULA),
    "--schedule cosine --warmup 1 --momentum-schedule ramp --optimizer nesterov,adam",
    "--average ema --average-decay 0.9 --optimizer nesterov,adam",
    "--average uniform",
    "--clip-norm 1 --clip-value 0.1",
    "--no-early-stopping",
    "--patience 2 --min-delta 0.1",
    "--depth 6 --residual --batch-norm --init lsuv",
    "--hidden 16,2,16 --init lsuv",
    "--recurrent --recurrent-gain 1.2 --clip-norm 1",
    "--hidden 16,16 --pretrain 2 --optimizer nesterov,adam",
    "--transfer 2 --hidden 16,16 --batch-norm",
    "--depth 5 --hints 2",
    "--init glorot-uniform --bias-init log-odds --dtype float64",
]


@needs_extra
@pytest.mark.parametrize("more", TRAINED)
def test_a_training_with_options_is_resumed_bit_for_bit(more, tmp_path):
    whole, halves = tmp_path / "whole", tmp_path / "halves"
    train = [*SMALL, "--epochs", "3", *more.split()]
    assert main([*train, "--out", str(whole)]) == 0
    interrupt_after(1, [*train, "--out", str(halves)])
    assert main([*train, "--out", str(halves), "--resume"]) == 0
    for path in whole.glob("*.safetensors"):
        assert comparable(path) == comparable(halves / path.name)
    results = metrics(whole)
    assert all(0 <= result["test_accuracy"] <= 1 for result in results.values())
    assert all(result["test_accuracy"] == metrics(halves)[name]["test_accuracy"] for name, result in results.items())


def interrupt_after(epochs: int, train: list[str]) -> None:
    """Run a training that meets Ctrl-C after so many epochs, of preparation if there is one."""
    from schuss.training.progress import ProgressBar

    shown = []

    def interrupt(self, name, *_):
        shown.append(name)
        if len(shown) == epochs:
            raise KeyboardInterrupt

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(ProgressBar, "_show", interrupt)
        assert main(train) == 130


@needs_extra
def test_all_optimizers_take_the_options_together(tmp_path):
    argv = [*SMALL, "--optimizer", "all", "--epochs", "3", "--out", str(tmp_path), "--schedule", "linear"]
    argv += ["--warmup", "1", "--clip-norm", "5", "--average", "ema", "--average-decay", "0.9", "--init", "lsuv"]
    assert main(argv) == 0
    results = metrics(tmp_path)
    assert list(results) == list(RECIPES)
    assert all(isinstance(result["test_accuracy"], float) for result in results.values())


@needs_extra
@pytest.mark.parametrize(
    ("more", "least"),
    [
        *((f"--init {init}", 0.8) for init in INITS),
        ("--average uniform --optimizer sgd", 0.8),
        ("--average ema --average-decay 0.9", 0.8),
        ("--momentum-schedule linear --optimizer nesterov", 0.8),
        ("--curriculum combined --optimizer nesterov", 0.8),
        ("--transfer 3 --optimizer nesterov", 0.8),
        ("--hints 3 --optimizer nesterov --hidden 32,32", 0.8),
        ("--pretrain 3 --optimizer nesterov --hidden 32,32", 0.8),
    ],
)
def test_the_digits_are_learned_with_the_options(more, least, tmp_path):
    assert main(["train", "--hidden", "32", "--epochs", "5", *more.split(), "--out", str(tmp_path)]) == 0
    assert metrics(tmp_path).popitem()[1]["test_accuracy"] > least


@needs_extra
def test_deep_plain_networks_fail_where_residual_ones_learn(tmp_path):
    accuracies = {}
    for name, more in (("plain", []), ("residual", ["--residual"])):
        train = ["train", "--depth", "50", "--hidden", "16", "--optimizer", "momentum", "--epochs", "3", *more]
        assert main([*train, "--out", str(tmp_path / name)]) == 0
        accuracies[name] = metrics(tmp_path / name)["momentum"]["test_accuracy"]
    assert accuracies["plain"] < 0.3 < 0.8 < accuracies["residual"]


@needs_extra
def test_a_recurrent_network_tells_what_became_of_its_gradient(tmp_path, capsys):
    train = ["train", "--recurrent", "--hidden", "8", "--optimizer", "sgd", "--lr", "1e-6", "--epochs", "1"]
    assert main([*train, "--recurrent-gain", "0.3", "--out", str(tmp_path)]) == 0
    norms = metrics(tmp_path)["sgd"]["gradient_by_step"]
    assert len(norms) == 64
    told = f"over 64 steps back in time its norm goes from {norms[-1]:.2g} to {norms[0]:.2g}"
    assert f"sgd: the gradient vanishes: {told}" in capsys.readouterr().out


@needs_extra
@pytest.mark.parametrize(
    ("norms", "verdict"),
    [([1e-3, 1.0], "vanishes"), ([1e3, 1.0], "explodes"), ([0.5, 1.0], "is kept"), ([0.0, 0.0], None), (None, None)],
)
def test_the_gradient_is_told_to_vanish_or_to_explode_from_a_factor_of_100_on(norms, verdict):
    from schuss.training.report import Result, memory

    told = memory(Result(0.5, 1.0, "finished", 1, 1, 1.0, 0.0, {}, {}, norms))
    assert told is None if verdict is None else told.startswith(f"the gradient {verdict}: over 2 steps")


@needs_extra
def test_a_network_that_cannot_be_initialized_is_refused_in_one_line(tmp_path, capsys):
    train = ["train", "--depth", "12", "--hidden", "1", "--init", "lsuv", "--out", str(tmp_path / "run")]
    assert main(train) == 2  # one of its eleven ReLUs is silent for all examples
    message = r"schuss train: error: --init lsuv: layers\[\d+\]: the variance of the output is 0, .*--seed may help\n"
    assert re.fullmatch(message, capsys.readouterr().err)
    assert not list(tmp_path.iterdir())


@needs_extra
def test_a_network_too_large_for_the_memory_is_refused_in_one_line(tmp_path, capsys, monkeypatch):
    def full(*_):
        raise MemoryError

    monkeypatch.setattr(build, "network", full)
    assert main(["train", "--hidden", "100000,8", "--out", str(tmp_path / "run")]) == 2
    message = "schuss train: error: not enough memory for --hidden 100000,8, a narrower network is needed\n"
    assert capsys.readouterr().err == message
    assert not list(tmp_path.iterdir())


@needs_extra
def test_a_preparation_that_diverges_is_told(tmp_path, capsys):
    train = [*SMALL, "--hidden", "8,8", "--pretrain", "2", "--optimizer", "sgd", "--lr", "1e20", "--epochs", "1"]
    for resumption in ([], ["--resume"]):
        assert main([*train, "--out", str(tmp_path), *resumption]) == 1
        assert "sgd diverged at epoch 1 of layer 1: a smaller --lr may help" in capsys.readouterr().err
    assert metrics(tmp_path)["sgd"]["test_accuracy"] is None


@needs_extra
def test_without_early_stopping_the_last_weights_are_kept(tmp_path):
    train = [*SMALL, "--lr", "0.05", "--epochs", "12", "--no-early-stopping", "--out", str(tmp_path)]
    assert main(train) == 0
    arrays, facts = checkpoint.load(tmp_path / "adam.safetensors")
    assert facts["stopping"]["best_epoch"] < 12
    for name, array in arrays["network"].items():
        np.testing.assert_array_equal(arrays["kept"][name], array)


OTHERS = [
    ("--schedule linear --epochs 5", "was made with --schedule constant, got linear"),
    ("--clip-norm 2", "was made with no --clip-norm, got --clip-norm 2.0"),
    ("--curriculum naive", "was made with no --curriculum, got --curriculum naive"),
    ("--no-early-stopping", "was made with --patience 10, got no --patience"),
    ("--residual --depth 4", "was made with --hidden 16, got 16,16,16"),
    ("--order shuffle-once", "was made with --order shuffle-each-epoch, got shuffle-once"),
]


@needs_extra
def test_a_training_is_resumed_with_its_own_options_only(tmp_path, capsys):
    train = [*SMALL, "--epochs", "1", "--out", str(tmp_path)]
    assert main(train) == 0
    for more, message in OTHERS:
        capsys.readouterr()
        assert main([*train, *more.split(), "--resume"]) == 2
        assert re.fullmatch(f"schuss train: error: cannot resume: .*{message}\n", capsys.readouterr().err)


@needs_extra
def test_a_scheduled_training_is_resumed_with_as_many_epochs_only(tmp_path, capsys):
    train = [*SMALL, "--schedule", "linear", "--out", str(tmp_path)]
    assert main([*train, "--epochs", "2"]) == 0
    assert main([*train, "--epochs", "3", "--resume"]) == 2
    assert "was made with --epochs 2, got 3" in capsys.readouterr().err
