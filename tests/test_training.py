"""The trainer: gradients, data, early stopping, checkpoints, and that a seed decides every bit."""

import importlib.util
import json
import signal
from itertools import pairwise

import numpy as np
import pytest

from schuss.data import Minibatches
from schuss.training import checkpoint
from schuss.training.checkpoint import CheckpointError
from schuss.training.command import EXTRA
from schuss.training.data import FRACTIONS, Examples, stratified
from schuss.training.layers import Dense, NormalizedReLU, ReLU
from schuss.training.loss import accuracy, softmax_cross_entropy
from schuss.training.network import Network, multi_layer_perceptron
from schuss.training.options import Options
from schuss.training.recipes import RECIPES
from schuss.training.trainer import DivergenceError, EarlyStopping, Trainer

needs_extra = pytest.mark.skipif(
    any(importlib.util.find_spec(module) is None for module in EXTRA), reason="needs schuss[train]"
)


def rng(seed: int = 0) -> np.random.Generator:
    return np.random.default_rng(seed)


# ---- gradients ----


def numerical_gradient(f, x: np.ndarray, h: float = 1e-6) -> np.ndarray:
    """Central differences of the scalar f() with respect to each element of x."""
    gradient = np.empty_like(x)
    for i in np.ndindex(x.shape):
        kept = x[i]
        x[i] = kept + h
        above = f()
        x[i] = kept - h
        gradient[i] = (above - f()) / (2 * h)
        x[i] = kept
    return gradient


LAYERS = [
    Dense(4, 3, rng(), "float64"),
    Dense(4, 3, rng(), "float64", bias=False),
    ReLU(),
    NormalizedReLU(4, "float64"),
]


@pytest.mark.parametrize("layer", LAYERS, ids=lambda layer: type(layer).__name__)
def test_the_gradients_of_a_layer_are_those_of_finite_differences(layer):
    x = rng(1).normal(size=(5, 4))
    for bias in (layer.params[name] for name in layer.params if name in ("bias", "beta")):
        bias += rng(2).normal(size=bias.shape)
    dy = rng(3).normal(size=layer.forward(x).shape)
    dx = layer.backward(dy)

    def f() -> float:
        return float(np.sum(layer.forward(x) * dy))

    np.testing.assert_allclose(dx, numerical_gradient(f, x), rtol=1e-6, atol=1e-8)
    for name, array in layer.params.items():
        np.testing.assert_allclose(layer.grads[name], numerical_gradient(f, array), rtol=1e-6, atol=1e-8)


def test_the_gradient_of_the_loss_is_that_of_finite_differences():
    logits, labels = 3 * rng().normal(size=(6, 4)), rng(1).integers(0, 4, 6)
    expected = numerical_gradient(lambda: softmax_cross_entropy(logits, labels)[0], logits)
    np.testing.assert_allclose(softmax_cross_entropy(logits, labels)[1], expected, rtol=1e-6, atol=1e-8)


def test_the_gradients_of_a_whole_network_are_those_of_finite_differences():
    network = multi_layer_perceptron((5, 7, 6, 3), rng(), "float64")
    x, y = rng(1).normal(size=(8, 5)), rng(2).integers(0, 3, 8)
    network.backward(softmax_cross_entropy(network.forward(x), y)[1])
    grads = network.grads
    assert grads.keys() == network.params.keys()
    for name, array in network.params.items():
        expected = numerical_gradient(lambda: softmax_cross_entropy(network.forward(x), y)[0], array)
        np.testing.assert_allclose(grads[name], expected, rtol=1e-5, atol=1e-8, err_msg=name)


def test_the_loss_of_logits_that_exp_cannot_hold():
    logits = np.array([[1e4, 0, -1e4], [-1e4, 0, 0]], np.float32)
    loss, gradient = softmax_cross_entropy(logits, np.array([0, 1]))
    assert loss == pytest.approx(np.log(2) / 2)
    np.testing.assert_allclose(gradient, [[0, 0, 0], [0, -0.25, 0.25]])


def test_accuracy():
    assert accuracy(np.array([[1, 2], [3, 0], [0, 1]]), np.array([1, 0, 0])) == pytest.approx(2 / 3)


# ---- networks and data ----


@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_the_dtype_is_kept_throughout(dtype):
    network = multi_layer_perceptron((5, 4, 3), rng(), dtype)
    logits = network.forward(np.ones((2, 5), dtype))
    network.backward(softmax_cross_entropy(logits, np.array([0, 1]))[1])
    assert {array.dtype for array in [logits, *network.params.values(), *network.grads.values()]} == {np.dtype(dtype)}


def test_weights_begin_with_variance_two_by_inputs_and_biases_with_zero():
    layer = Dense(200, 300, rng(), "float64")
    assert layer.params["weight"].var() == pytest.approx(2 / 200, rel=0.02)
    assert not layer.params["bias"].any()


def test_a_network_at_other_parameters_leaves_the_first_alone():
    network = multi_layer_perceptron((3, 4, 2), rng(), "float64")
    before = {name: array.copy() for name, array in network.params.items()}
    other = network.at({name: array + 1 for name, array in before.items()})
    for name, array in before.items():
        np.testing.assert_array_equal(network.params[name], array)
        np.testing.assert_array_equal(other.params[name], array + 1)


def test_a_stratified_split_keeps_the_shares_and_loses_nothing():
    labels = np.repeat(np.arange(4), (40, 80, 60, 20))
    parts = stratified(labels, FRACTIONS, rng())
    assert sorted(np.concatenate(parts)) == list(range(200))
    assert [list(np.bincount(labels[part])) for part in parts] == [[30, 60, 45, 15], [4, 8, 6, 2], [6, 12, 9, 3]]


# ---- training ----


def make_trainer(
    optimizer: str = "adam", lr: float | None = None, dtype: str = "float64", patience=100, batch_norm=False
) -> Trainer:
    """A trainer of a small network on three overlapping clouds of points."""
    y = np.arange(90) % 3
    x = (np.eye(3, 4)[y] + 0.5 * rng().normal(size=(90, 4))).astype(dtype)
    network = multi_layer_perceptron((4, 8, 3), rng(1), dtype, batch_norm=batch_norm)
    recipe = RECIPES[optimizer]
    made = recipe.optimizer(network.params, recipe.lr if lr is None else lr, **recipe.hyper)
    minibatches = Minibatches(Examples(x[:60], y[:60]), 16, order="shuffle_each_epoch", seed=2)
    return Trainer(network, made, minibatches, Examples(x[60:], y[60:]), EarlyStopping(patience))


def train(trainer: Trainer, epochs: int) -> Trainer:
    trainer.train(epochs, lambda: None)
    return trainer


def comparable(snapshot) -> str:
    """All that a snapshot holds to the last bit, but for the time it took."""
    arrays, facts = snapshot
    tensors = {
        f"{part}.{name}": (str(array.dtype), array.shape, array.tobytes().hex())
        for part, named in arrays.items()
        for name, array in named.items()
    }
    return json.dumps([tensors, {name: value for name, value in facts.items() if name != "seconds"}], sort_keys=True)


@pytest.mark.parametrize("optimizer", RECIPES)
def test_every_optimizer_learns(optimizer):
    losses = train(make_trainer(optimizer), 30).history["training_loss"]
    assert losses[-1] < 0.9 * losses[0]


def test_the_same_seeds_give_the_same_bits():
    assert comparable(train(make_trainer(), 5).snapshot()) == comparable(train(make_trainer(), 5).snapshot())


@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.parametrize("optimizer", RECIPES)
def test_a_training_resumed_from_a_checkpoint_gives_the_same_bits(optimizer, dtype, tmp_path):
    whole = train(make_trainer(optimizer, dtype=dtype), 7)
    path = tmp_path / "c.safetensors"
    for epochs in (0, 3, 7):
        trainer = make_trainer(optimizer, dtype=dtype)
        if epochs:
            trainer.load(*checkpoint.load(path))
        checkpoint.save(path, *train(trainer, epochs).snapshot())
    assert comparable(checkpoint.load(path)) == comparable(trainer.snapshot()) == comparable(whole.snapshot())


def test_a_training_with_batch_normalization_is_resumed_with_its_running_statistics(tmp_path):
    whole, path = train(make_trainer(batch_norm=True), 5), tmp_path / "c.safetensors"
    checkpoint.save(path, *train(make_trainer(batch_norm=True), 2).snapshot())
    trainer = make_trainer(batch_norm=True)
    trainer.load(*checkpoint.load(path))
    assert comparable(train(trainer, 5).snapshot()) == comparable(whole.snapshot())
    assert {"1.running_mean", "1.running_var"} < set(trainer.stopping.kept)


def test_a_network_is_evaluated_by_its_running_statistics():
    trainer = train(make_trainer(batch_norm=True), 5)
    kept = {name: array.copy() for name, array in trainer.network.state.items()}
    network, x = trainer.network.at({}), trainer.validation.x
    whole = network.forward(x)
    one_by_one = np.concatenate([network.forward(x[i : i + 1]) for i in range(len(x))])
    np.testing.assert_allclose(one_by_one, whole, rtol=1e-9, atol=1e-9)
    for name, array in trainer.network.state.items():
        np.testing.assert_array_equal(array, kept[name])
    assert not np.allclose(trainer.network.forward(x), whole)  # which is still in training


def test_an_interrupted_epoch_counts_for_nothing(tmp_path):
    trainer, path = train(make_trainer(), 2), tmp_path / "c.safetensors"
    checkpoint.save(path, *trainer.snapshot())
    for step, (x, y) in enumerate(trainer.minibatches):
        trainer.network.backward(softmax_cross_entropy(trainer.network.forward(x), y)[1])
        trainer.optimizer.step(trainer.network.grads)
        if step == 1:
            break
    trainer.load(*checkpoint.load(path))
    assert comparable(train(trainer, 4).snapshot()) == comparable(train(make_trainer(), 4).snapshot())


def test_nesterov_is_judged_at_theta_and_not_at_the_look_ahead_point():
    trainer = train(make_trainer("nesterov"), 3)
    best, theta = trainer.stopping.kept, trainer.optimizer.theta()
    assert trainer.stopping.best_epoch == 3
    for name, array in trainer.network.params.items():
        np.testing.assert_array_equal(best[name], theta[name])
        assert np.any(best[name] != array)


def test_early_stopping_keeps_the_best_parameters():
    stopping = EarlyStopping(patience=2)
    for epoch, loss in enumerate([3.0, 2.0, 2.0, 2.5], 1):
        assert not stopping.is_due(epoch - 1)
        stopping.observe(epoch, loss, {"loss": np.array(loss)})
    assert stopping.is_due(4)
    assert (stopping.best_epoch, stopping.best_loss, stopping.kept) == (2, 2.0, {"loss": np.array(2.0)})


def test_a_training_stops_when_patience_is_at_an_end():
    trainer = train(make_trainer(lr=0.3, patience=3), 1000)
    losses = trainer.history["validation_loss"]
    assert trainer.epoch == trainer.stopping.best_epoch + 3 < 1000
    assert min(losses) == losses[trainer.stopping.best_epoch - 1] == trainer.stopping.best_loss


def test_divergence_is_found_without_a_warning():
    trainer = make_trainer("sgd", lr=1e200)
    with np.errstate(over="warn", invalid="warn"), pytest.raises(DivergenceError, match="diverged at epoch 1"):
        train(trainer, 10)
    assert trainer.epoch == 0


# ---- checkpoints ----


def test_a_checkpoint_keeps_every_float(tmp_path):
    facts = {"numbers": [0.1, 1 / 3, 5e-324, 1.7976931348623157e308, -0.0], "big": 2**127 + 1, "none": None}
    arrays = {"params": {"0.weight": np.array([[np.nan, -0.0]], np.float32)}, "best": {}}
    checkpoint.save(tmp_path / "c", arrays, facts)
    loaded, loaded_facts = checkpoint.load(tmp_path / "c")
    assert loaded_facts == facts
    assert str(loaded_facts) == str(facts)
    assert loaded["best"] == {}
    assert loaded["params"]["0.weight"].tobytes() == arrays["params"]["0.weight"].tobytes()
    assert [path.name for path in tmp_path.iterdir()] == ["c"]


def test_an_interrupted_writing_leaves_the_old_file(tmp_path, monkeypatch):
    path = tmp_path / "c"
    checkpoint.write_atomically(path, b"old")

    def interrupt(*_):
        raise KeyboardInterrupt

    monkeypatch.setattr("os.replace", interrupt)
    with pytest.raises(KeyboardInterrupt):
        checkpoint.write_atomically(path, b"new")
    assert path.read_bytes() == b"old"
    assert list(tmp_path.iterdir()) == [path]


@pytest.mark.skipif(not hasattr(signal, "setitimer"), reason="has no timer to interrupt by")
def test_a_writing_interrupted_anywhere_leaves_one_whole_file_and_none_open(tmp_path):
    path, contents, interrupted = tmp_path / "c", [bytes([k]) * 100_000 for k in range(2)], 0
    handler = signal.signal(signal.SIGALRM, signal.default_int_handler)
    try:
        for k in range(1000):
            try:
                signal.setitimer(signal.ITIMER_REAL, (1 + k % 100) * 2e-6)
                checkpoint.write_atomically(path, contents[k % 2])
                signal.setitimer(signal.ITIMER_REAL, 0)
            except KeyboardInterrupt:
                interrupted += 1
            assert {file.name for file in tmp_path.iterdir()} <= {"c"}
            assert not path.exists() or path.read_bytes() in contents
    finally:
        signal.setitimer(signal.ITIMER_REAL, 0)
        signal.signal(signal.SIGALRM, handler)
    assert interrupted > 0


def test_damaged_and_foreign_checkpoints_are_refused(tmp_path):
    import safetensors.numpy

    path = tmp_path / "c.safetensors"
    checkpoint.save(path, *make_trainer().snapshot())
    whole = path.read_bytes()
    foreign = safetensors.numpy.save({"x": np.zeros(3)})
    older = whole.replace(checkpoint.FORMAT.encode(), checkpoint.FORMAT[:-1].encode() + b"0")
    cases = [
        (whole[:-1], "cannot be read"),
        (b"", "cannot be read"),
        (foreign, "is no checkpoint of schuss train"),
        (older, "is of another version of schuss train"),
    ]
    for content, message in cases:
        path.write_bytes(content)
        with pytest.raises(CheckpointError, match=message):
            checkpoint.load(path)
    with pytest.raises(CheckpointError, match=r"there is no .*missing"):
        checkpoint.load(tmp_path / "missing")


# ---- the digits ----


@needs_extra
@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_the_digits_are_standardized_by_the_training_set(dtype):
    from schuss.training.data import load_digits

    split = load_digits(rng(), dtype)
    assert sum(len(part.y) for part in split) == 1797
    assert all(part.x.dtype == dtype for part in split)
    assert np.abs(split.training.x.mean(axis=0, dtype=np.float64)).max() < 1e-6
    shares = [np.bincount(part.y) / len(part.y) for part in split]
    assert np.ptp(shares, axis=0).max() < 0.01
    again, other = load_digits(rng(), dtype), load_digits(rng(1), dtype)
    np.testing.assert_array_equal(again.test.x, split.test.x)
    assert not np.array_equal(other.test.x[:100], split.test.x[:100])


@needs_extra
def test_adam_reads_97_percent_of_the_digits_at_default_settings(tmp_path):
    from schuss.training.run import run

    accuracies = [run(Options(seed=seed, out=tmp_path))[0]["adam"].test_accuracy for seed in range(3)]
    assert min(accuracies) >= 0.97


@needs_extra
def test_with_batch_normalization_fewer_epochs_reach_as_much(tmp_path):
    from schuss.training.options import Options
    from schuss.training.run import run

    best = {}
    for batch_norm in (False, True):
        results = [run(Options(seed=seed, batch_norm=batch_norm, out=tmp_path))[0]["adam"] for seed in range(6)]
        assert min(result.test_accuracy for result in results) >= 0.97
        best[batch_norm] = sum(result.best_epoch for result in results)
    assert best[True] < 0.8 * best[False]


@needs_extra
def test_the_curves_of_any_result_can_be_drawn(tmp_path):
    from schuss.training import plots
    from schuss.training.report import Result

    def result(epochs: int, outcome: str) -> Result:
        history = {name: [1.0] * epochs for name in ("training_loss", "validation_loss", "gradient_norm")}
        best = 1.0 if epochs else None
        return Result(None, None, outcome, epochs, min(epochs, 1), best, 0.0, {"lr": 0.1}, history)

    ten = {name: result(epochs, "finished") for epochs, name in enumerate(RECIPES)}
    for results in ({"sgd": result(0, "diverged at epoch 1")}, {"adam": result(1, "finished")}, ten):
        assert plots.curves(results).startswith(b"\x89PNG")


def test_the_layers_of_a_perceptron_alternate():
    network = multi_layer_perceptron((4, 3, 2), rng(), "float32")
    assert isinstance(network, Network)
    assert all(isinstance(b, ReLU) for a, b in pairwise(network.layers) if isinstance(a, Dense))
    assert list(network.params) == ["0.weight", "0.bias", "2.weight", "2.bias"]
    network = multi_layer_perceptron((4, 3, 2), rng(), "float32", batch_norm=True)
    assert list(network.params) == ["0.weight", "1.gamma", "1.beta", "2.weight", "2.bias"]
