"""What helps networks that are hard to train: skip connections, pretraining, transfer, hints, curricula, clipping."""

import numpy as np
import pytest

import schuss
from schuss import init
from schuss.continuation import Curriculum
from schuss.data import Minibatches
from schuss.streams import Purpose, derived_seed, stream
from schuss.training.data import Examples, PacedMinibatches, difficulty, of_classes
from schuss.training.layers import Dense, Fork, Join
from schuss.training.loss import half_squared_error, softmax_cross_entropy
from schuss.training.network import Network, multi_layer_perceptron, residual_network
from schuss.training.recurrent import adding_problem, gradients_by_step, recurrent_network
from schuss.training.strategies import TEACHER, Lessons, Student, give_hints, pretrain, transfer
from schuss.training.trainer import DivergenceError, EarlyStopping, Trainer, evaluate, train_epoch
from test_training import numerical_gradient, rng


def clouds(seed: int = 0, count: int = 90) -> Examples:
    """Three overlapping clouds of points in four dimensions."""
    y = np.arange(count) % 3
    return Examples(np.eye(3, 4)[y] + 0.3 * rng(seed).normal(size=(count, 4)), y)


def lessons(epochs: int, log: list | None = None, lr: float = 0.01) -> Lessons:
    def minibatches(examples: Examples, stage: int) -> Minibatches:
        return Minibatches(examples, 16, seed=derived_seed(0, Purpose.PREPARATION, stage))

    def after_epoch(*told) -> None:
        if log is not None:
            log.append(told)

    return Lessons(epochs, lambda params: schuss.Nesterov(params, lr=lr), minibatches, after_epoch)


# ---- gradients ----


def check_gradients(network: Network, f) -> None:
    """Compare the gradients that the network holds with differences of f()."""
    grads = {name: g.copy() for name, g in network.grads.items()}
    assert grads.keys() == network.params.keys()
    for name, array in network.params.items():
        np.testing.assert_allclose(grads[name], numerical_gradient(f, array), rtol=1e-5, atol=1e-8, err_msg=name)


NETWORKS = {
    "residual": lambda: residual_network((4, 5, 5, 5, 5, 5, 3), rng(), "float64"),
    "residual, odd": lambda: residual_network((4, 5, 5, 5, 3), rng(), "float64"),
    "residual, batch norm": lambda: residual_network((4, 5, 5, 5, 3), rng(), "float64", batch_norm=True),
    "recurrent": lambda: recurrent_network(2, 5, 3, rng(), "float64", gain=1.5),
    "recurrent, one input": lambda: recurrent_network(1, 4, 3, rng(), "float64", gain=0.7),
}


@pytest.mark.parametrize("name", NETWORKS)
def test_the_gradients_of_a_network_are_those_of_finite_differences(name):
    network, (x, y) = NETWORKS[name](), clouds(1, 8)
    network.backward(softmax_cross_entropy(network.forward(x), y)[1])
    check_gradients(network, lambda: softmax_cross_entropy(network.forward(x), y)[0])


@pytest.mark.parametrize("name", NETWORKS)
def test_the_gradient_reaches_the_input(name):
    network, (x, y) = NETWORKS[name](), clouds(1, 6)
    dy = softmax_cross_entropy(network.forward(x), y)[1]
    for layer in reversed(network.layers):
        dy = layer.backward(dy)
    expected = numerical_gradient(lambda: softmax_cross_entropy(network.forward(x), y)[0], x)
    np.testing.assert_allclose(dy, expected, rtol=1e-5, atol=1e-8)


def test_the_gradient_with_a_hint_is_that_of_both_losses():
    network, (x, y) = multi_layer_perceptron((4, 5, 5, 3), rng(), "float64"), clouds(1, 8)
    guide = Network(multi_layer_perceptron((4, TEACHER[0], 3), rng(1), "float64").layers[:2]).at({})
    student = Student(network, guide, 5, rng(2), "float64")
    for name, array in student.params.items():
        array += 0.1 * rng(3).normal(size=array.shape) * name.endswith("bias")  # away from the kink of a ReLU

    def f() -> float:
        return softmax_cross_entropy(student.forward(x), y)[0] + student.hint.loss

    student.backward(softmax_cross_entropy(student.forward(x), y)[1])
    check_gradients(student, f)


def test_the_gradient_of_half_the_squared_error_is_that_of_finite_differences():
    outputs, targets = rng().normal(size=(4, 3)), rng(1).normal(size=(4, 3))
    expected = numerical_gradient(lambda: half_squared_error(outputs, targets)[0], outputs)
    np.testing.assert_allclose(half_squared_error(outputs, targets)[1], expected, rtol=1e-6, atol=1e-9)


# ---- skip connections ----


def test_a_residual_network_has_as_many_layers_as_a_perceptron_of_these_sizes():
    sizes = (4, *[6] * 49, 3)
    plain, residual = (make(sizes, rng(), "float32") for make in (multi_layer_perceptron, residual_network))
    counts = [sum(isinstance(layer, Dense) for layer in network.layers) for network in (plain, residual)]
    assert counts == [50, 50]
    assert sum(isinstance(layer, Join) for layer in residual.layers) == 24


def test_with_branches_of_weight_0_what_is_left_is_a_linear_path():
    network, (x, _) = residual_network((4, 6, 6, 6, 3), rng(), "float64"), clouds()
    for layer in network.layers:
        if isinstance(layer, Join):
            layer.scale = 0.0
    first, last = network.layers[0], network.layers[-1]
    np.testing.assert_allclose(network.forward(x), last.forward(np.maximum(first.forward(x), 0)))


def test_a_copy_of_a_residual_network_has_connections_of_its_own():
    network = residual_network((4, 6, 6, 6, 3), rng(), "float64")
    copy = network.at({})
    forks = [layer for layer in copy.layers if isinstance(layer, Fork)]
    joins = [layer for layer in copy.layers if isinstance(layer, Join)]
    assert [join.fork for join in joins] == forks
    assert not set(map(id, forks)) & set(map(id, network.layers))
    expected, x = network.forward(clouds().x), rng(5).normal(size=(7, 4))
    copy.forward(x)
    np.testing.assert_array_equal(network.forward(clouds().x), expected)


@pytest.mark.parametrize("make", [multi_layer_perceptron, residual_network])
@pytest.mark.parametrize("batch_norm", [False, True])
@pytest.mark.parametrize("widths", [(3, 3, 3), (20, 20), (2, 2, 2, 2)], ids=str)
def test_lsuv_suits_narrow_networks_with_and_without_batch_normalization(make, batch_norm, widths):
    network, (x, y) = make((4, *widths, 3), rng(), "float64", batch_norm=batch_norm), clouds()
    before = {name: array.copy() for layer in network.layers for name, array in layer.statistics.items()}
    reached = init.lsuv(network.layers, x, seed=0)
    assert len(reached) == len(widths) + 1
    assert all(abs(variance - 1) <= 0.1 for variance in reached.values())
    for layer in network.layers:
        for name, array in layer.statistics.items():
            np.testing.assert_array_equal(array, before[name])
    optimizer = schuss.Adam(network.params, lr=0.01)
    losses = [train_epoch(network, optimizer, Minibatches(Examples(x, y), 30, seed=0))[0] for _ in range(30)]
    assert losses[-1] < losses[0]


# ---- recurrence ----


def test_the_gradient_grows_and_shrinks_like_the_power_of_the_gain():
    x = 1e-18 * rng().normal(size=(5, 40))  # so small that the tanh takes nothing away
    for gain in (0.5, 1.0, 2.0):
        network = recurrent_network(1, 8, 3, rng(1), "float64", gain=gain)
        norms = gradients_by_step(network, Examples(x, np.arange(5) % 3))
        np.testing.assert_allclose(norms, norms[-1] * gain ** np.arange(39, -1, -1.0), rtol=1e-6)


def test_only_a_recurrent_network_has_gradients_by_step():
    assert gradients_by_step(multi_layer_perceptron((4, 5, 3), rng(), "float64"), clouds()) is None


def test_the_adding_problem_asks_for_the_sum_of_what_is_marked():
    x, y = adding_problem(50, 11, rng())
    pairs = x.reshape(50, 11, 2)
    marks = pairs[..., 1] == 1
    assert (marks[:, :5].sum(axis=1) == 1).all()
    assert (marks[:, 5:].sum(axis=1) == 1).all()
    np.testing.assert_allclose(y[:, 0], [row[:, 0][mark].sum() for row, mark in zip(pairs, marks, strict=True)])
    assert np.mean((adding_problem(10_000, 4, rng(1)).y - 1) ** 2) == pytest.approx(1 / 6, rel=0.05)


# ---- preparation ----


def test_pretraining_goes_layer_by_layer_and_leaves_the_ones_before_alone():
    network, examples, log = multi_layer_perceptron((4, 8, 7, 6, 3), rng(), "float64"), clouds(), []
    first = {}

    def after_epoch(name: str, epoch: int, loss: float) -> None:
        log.append((name, epoch))
        if name == "layer 2":
            first.setdefault("weight", network.params["0.weight"].copy())

    before = {name: array.copy() for name, array in network.params.items()}
    plan = lessons(3)
    pretrain(network, examples, Lessons(3, plan.optimizer, plan.minibatches, after_epoch), rng(1))
    assert log == [(f"layer {layer}", epoch) for layer in (1, 2, 3) for epoch in (1, 2, 3)]
    np.testing.assert_array_equal(network.params["0.weight"], first["weight"])
    assert all(np.any(network.params[name] != array) for name, array in before.items())


def test_pretraining_ends_with_the_output_layer_of_the_last_stage():
    network, examples, told = multi_layer_perceptron((4, 8, 8, 3), rng(), "float64"), clouds(), []
    pretrain(network, examples, lessons(20, told), rng(1))
    loss = evaluate(network.at({}), examples)[0]
    assert loss == pytest.approx(told[-1][2], rel=0.2)


def test_transfer_trains_all_but_the_output_layer():
    network, examples = multi_layer_perceptron((4, 8, 8, 3), rng(), "float64"), clouds()
    before = {name: array.copy() for name, array in network.params.items()}
    told: list = []
    transfer(network, of_classes(examples, 0, 1), 2, lessons(10, told), rng(1))
    changed = [name for name, array in before.items() if np.any(network.params[name] != array)]
    assert changed == ["0.weight", "0.bias", "2.weight", "2.bias"]
    assert told[-1][2] < told[0][2]


@pytest.mark.parametrize("make", [multi_layer_perceptron, residual_network])
def test_hints_teach_the_middle_layer_what_the_teacher_knows(make):
    network, examples, told = make((4, *[8] * 5, 3), rng(), "float64"), clouds(), []
    give_hints(network, examples, lessons(10, told), rng(1))
    assert [name for name, *_ in told] == ["the teacher"] * 10 + ["the hints"] * 10
    assert evaluate(network.at({}), examples)[1] > 0.7
    student = Student(network, Network(make((4, TEACHER[0], 8, 3), rng(), "float64").layers[:1]), 8, rng(), "float64")
    dense = [isinstance(layer, Dense) for layer in network.layers]
    assert abs(sum(dense[: student.middle]) - sum(dense) / 2) <= 1


def test_lessons_that_diverge_say_where():
    with (
        np.errstate(over="warn", invalid="warn"),
        pytest.raises(DivergenceError, match="diverged at epoch 1 of layer 1"),
    ):
        pretrain(multi_layer_perceptron((4, 8, 3), rng(), "float64"), clouds(), lessons(2, lr=1e200), rng())


# ---- curricula, early stopping, streams ----


def test_the_difficulty_is_the_distance_to_the_own_mean_beyond_that_to_the_nearest_other():
    x = np.array([[0.0], [2.0], [10.0], [6.0]])
    scores = difficulty(Examples(x, np.array([0, 0, 1, 1])))
    np.testing.assert_allclose(scores, [1 - 8, 1 - 6, 2 - 9, 2 - 5])


def test_a_curriculum_takes_easy_examples_first_and_is_resumed_between_epochs():
    examples = clouds()
    scores = difficulty(examples)
    paced = PacedMinibatches(examples, 16, Curriculum(scores, 5, seed=0), least=4)
    epochs = [np.concatenate([x for x, _ in paced]) for _ in range(6)]
    assert [len(x) for x in epochs] == [18, 36, 54, 72, 90, 90]
    assert {tuple(x) for x in epochs[0]} == {tuple(x) for x in examples.x[np.argsort(scores, kind="stable")[:18]]}
    assert len(paced) == 6
    again = PacedMinibatches(examples, 16, Curriculum(scores, 5, seed=0), least=4)
    again.load_state_dict({"epoch": 3})
    np.testing.assert_array_equal(np.concatenate([x for x, _ in again]), epochs[3])
    assert again.state_dict() == {"epoch": 4}


def test_early_stopping_counts_gains_beyond_min_delta_only_but_keeps_the_lowest():
    stopping = EarlyStopping(patience=2, min_delta=0.5)
    for epoch, loss in enumerate([3.0, 2.0, 1.9, 1.8], 1):
        assert not stopping.is_due(epoch - 1)
        stopping.observe(epoch, loss, {"loss": np.array(loss)})
    assert stopping.is_due(4)
    assert (stopping.best_epoch, stopping.best_loss, stopping.gain_epoch) == (4, 1.8, 2)
    other = EarlyStopping(patience=2)
    other.load(stopping.facts(), stopping.kept)
    assert (other.facts(), other.kept) == (stopping.facts(), {"loss": np.array(1.8)})


def test_without_patience_the_last_state_is_kept_and_nothing_stops():
    stopping = EarlyStopping(None)
    for epoch, loss in enumerate([1.0, 2.0, 3.0], 1):
        stopping.observe(epoch, loss, {"loss": np.array(loss)})
        assert not stopping.is_due(epoch + 1000)
    assert (stopping.best_epoch, stopping.best_loss, stopping.kept) == (1, 1.0, {"loss": np.array(3.0)})


def test_no_two_purposes_share_random_numbers():
    keys = [(seed, purpose, *key) for seed in (0, 1) for purpose in Purpose for key in ((), (0,), (1,), (0, 0))]
    numbers = {stream(*key).integers(2**62) for key in keys} | {derived_seed(*key) for key in keys}
    assert len(numbers) == 2 * len(keys)


def test_a_clipped_step_is_survived_where_the_gradient_explodes():
    examples = adding_problem(300, 15, rng())
    losses = {}
    for name, clip in {"plain": {}, "norm": {"clip_norm": 0.1}, "value": {"clip_value": 0.002}}.items():
        network = recurrent_network(2, 32, 1, rng(1), "float64", gain=1.2)
        optimizer = schuss.Momentum(network.params, lr=0.3, **clip)
        with np.errstate(over="ignore", invalid="ignore"):
            for epoch in range(8):
                minibatches = Minibatches(examples, 20, seed=epoch)
                losses[name] = train_epoch(network, optimizer, minibatches, half_squared_error)[0]
    assert max(losses["norm"], losses["value"]) < 0.2
    assert not losses["plain"] < 1e3


def test_a_trainer_keeps_the_average_where_it_is_asked_to():
    examples, network = clouds(), multi_layer_perceptron((4, 8, 3), rng(), "float64")
    optimizer = schuss.SGD(network.params, lr=0.3, average="uniform")
    minibatches = Minibatches(examples, 16, order="shuffle_each_epoch", seed=0)
    trainer = Trainer(network, optimizer, minibatches, examples, EarlyStopping(None), averaged=True)
    trainer.train(5, lambda: None)
    for name, array in optimizer.average().items():
        np.testing.assert_array_equal(trainer.stopping.kept[name], array)
        assert np.any(network.params[name] != array)
