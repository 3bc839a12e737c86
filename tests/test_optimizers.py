"""The optimizer classes: forms of parameters, schedules, saving and resuming, copies."""

import copy
import json
import pickle
import re

import numpy as np
import pytest

import schuss
from cases import RULES
from test_rules import CLASSES

OPTIMIZERS = {
    **{
        rule: (cls, {"lr": 0.01, **({"kappa": 0.001, "phi": 0.1, "gamma": 0.7} if rule == "delta_bar_delta" else {})})
        for rule, cls in CLASSES.items()
    },
    "rmsprop all": (schuss.RMSProp, {"momentum": 0.9, "nesterov": True, "centered": True}),
    "torch momentum": (schuss.SGD, {"lr": 0.1, "momentum": 0.9, "convention": "torch"}),
    "scheduled": (schuss.Nesterov, {"lr": lambda t: 0.1 / (t + 1), "momentum": lambda t: 0.9 - 0.5 / (t + 1)}),
}

every_optimizer = pytest.mark.parametrize(("cls", "options"), OPTIMIZERS.values(), ids=OPTIMIZERS.keys())


def parameters(dtype=np.float32):
    rng = np.random.default_rng(0)
    return {"w": rng.standard_normal((7, 5)).astype(dtype), "b": rng.standard_normal(5).astype(dtype)}


def gradients(params, step):
    rng = np.random.default_rng(step + 1)
    return {name: rng.standard_normal(p.shape).astype(p.dtype) for name, p in params.items()}


def train(optimizer, params, steps):
    for _ in range(steps):
        optimizer.step(gradients(params, optimizer.steps))


@every_optimizer
def test_a_resumed_run_continues_bit_for_bit(cls, options):
    whole, first = parameters(), parameters()
    train(cls(whole, **options), whole, 10)
    optimizer = cls(first, **options)
    train(optimizer, first, 4)
    saved_params, saved = copy.deepcopy(first), pickle.loads(pickle.dumps(optimizer.state_dict()))
    train(optimizer, first, 3)  # the snapshot must not follow

    resumed = cls(saved_params, **options)
    resumed.load_state_dict(saved)
    train(resumed, saved_params, 6)
    assert resumed.steps == 10
    for name in whole:
        np.testing.assert_array_equal(saved_params[name], whole[name])


@every_optimizer
def test_state_dict_is_plain_arrays_and_numbers(cls, options):
    params = parameters()
    optimizer = cls(params, **options)
    train(optimizer, params, 2)
    state = optimizer.state_dict()
    arrays = state.pop("state")
    assert json.loads(json.dumps(state))["steps"] == 2
    assert all(type(array) is np.ndarray and array.dtype == np.float32 for array in arrays.values())
    restored = cls(parameters(), **options)
    restored.load_state_dict({**json.loads(json.dumps(state)), "state": arrays})
    again = restored.state_dict()
    assert {name: again[name] for name in state} == state
    assert all(np.array_equal(again["state"][name], array) for name, array in arrays.items())


@every_optimizer
def test_copies_and_pickles_are_independent(cls, options):
    if any(callable(value) for value in options.values()):
        options = {name: value for name, value in options.items() if not callable(value)} | {"lr": 0.1}
    params = parameters()
    optimizer = cls(params, **options)
    train(optimizer, params, 3)
    for make_copy in (copy.deepcopy, lambda original: pickle.loads(pickle.dumps(original))):
        copied = make_copy(optimizer)
        train(optimizer, params, 1)
        own = copied.groups[0]["params"]
        copied.step(gradients(own, optimizer.steps - 1))
        for name in params:
            np.testing.assert_array_equal(own[name], params[name])
            assert not np.shares_memory(own[name], params[name])


@pytest.mark.parametrize(
    ("cls", "options"), [(schuss.Rprop, {}), (schuss.DeltaBarDelta, {"kappa": 0.01, "phi": 0.5, "gamma": 0.3})]
)
def test_a_first_step_size_is_loaded_with_the_state_that_was_made_for_it(cls, options):
    straight, resumed = np.ones(3), np.ones(3)
    one, other = cls([straight], lr=0.01, **options), cls([resumed], lr=0.5, **options)
    other.load_state_dict(one.state_dict())
    for _ in range(3):
        one.step([straight.copy()])
        other.step([resumed.copy()])
    np.testing.assert_array_equal(resumed, straight)
    assert other.groups[0]["lr"] == 0.01


STATE_ERRORS = [
    ("optimizer", lambda s: {**s, "optimizer": "AdamW"}, ValueError, "state['optimizer'] is 'AdamW', expected 'Adam'"),
    ("groups", lambda s: {**s, "groups": s["groups"] * 2}, ValueError, "state['groups'] has 2 entries, expected 1"),
    ("empty", lambda s: {}, ValueError, "state lacks 'optimizer', expected what state_dict() gives"),
    (
        "no steps",
        lambda s: {k: v for k, v in s.items() if k != "steps"},
        ValueError,
        "state lacks 'steps', expected what state_dict() gives",
    ),
    ("steps", lambda s: {**s, "steps": -1}, ValueError, "state['steps'] must be an integer of at least 0, got -1"),
    ("endless", lambda s: {**s, "steps": 10**30}, ValueError, "state['steps'] must be an integer of at least 0"),
    ("broken", lambda s: {**s, "averaged": 0.5}, TypeError, "state['averaged'] must be an integer of at least 0, got"),
    ("nothing", lambda s: None, TypeError, "state is NoneType, expected what state_dict() gives"),
    ("no group", lambda s: {**s, "groups": [None]}, TypeError, "state['groups'][0] is NoneType, expected what"),
    ("no phase", lambda s: {**s, "phase": 3}, TypeError, "state['phase'] is int, expected what state_dict() gives"),
    ("no state", lambda s: {**s, "state": []}, TypeError, "state['state'] is list, expected what state_dict() gives"),
    (
        "list",
        lambda s: with_state(s, **{"w.s": [1.0]}),
        TypeError,
        "state['state']['w.s'] is list, expected a NumPy array",
    ),
    ("betas", lambda s: with_group(s, betas=5), TypeError, "betas must be a pair of numbers, got 5"),
    ("missing", lambda s: {**s, "state": {}}, ValueError, "state['state'] lacks array 'b.r'"),
    ("extra", lambda s: with_state(s, x=np.ones(1)), ValueError, "state['state'] has the unexpected array 'x'"),
    (
        "dtype",
        lambda s: with_state(s, **{"w.s": np.ones((7, 5))}),
        TypeError,
        "state['state']['w.s'] has dtype float64, expected float32",
    ),
    (
        "shape",
        lambda s: with_state(s, **{"w.s": np.ones((5, 7), np.float32)}),
        ValueError,
        "state['state']['w.s'] has shape (5, 7), expected (7, 5)",
    ),
    (
        "schedule",
        lambda s: with_group(s, lr=None),
        ValueError,
        "state['groups'][0]['lr'] was a schedule when it was saved",
    ),
    ("range", lambda s: with_group(s, lr=-1.0), ValueError, "lr must be in [0, inf), got -1.0"),
    ("unknown", lambda s: with_group(s, rate=1.0), ValueError, "state['groups'][0] has the unknown 'rate'"),
    (
        "convention",
        lambda s: with_group(s, convention="torch"),
        ValueError,
        "state['groups'][0]['convention'] is 'torch', expected 'book'",
    ),
]


def with_state(state, **arrays):
    return {**state, "state": {**state["state"], **arrays}}


def with_group(state, **options):
    return {**state, "groups": [{**state["groups"][0], **options}]}


@pytest.mark.parametrize(("why", "make", "exception", "message"), STATE_ERRORS, ids=[case[0] for case in STATE_ERRORS])
def test_a_wrong_state_is_refused_and_nothing_is_modified(why, make, exception, message):
    params = parameters()
    optimizer = schuss.Adam(params)
    train(optimizer, params, 2)
    other = schuss.Adam(parameters(), lr=0.5)
    good = other.state_dict()
    before = optimizer.state_dict()
    with pytest.raises(exception) as error:
        optimizer.load_state_dict(make(good))
    assert str(error.value).startswith(message)
    after = optimizer.state_dict()
    assert (after["steps"], after["groups"]) == (before["steps"], before["groups"])
    assert all(np.array_equal(before["state"][name], array) for name, array in after["state"].items())


def test_lists_dicts_tuples_generators_and_groups_take_the_same_step():
    results = []
    for make in (
        lambda p: (list(p.values()), lambda g: list(g.values())),
        lambda p: (tuple(p.values()), lambda g: tuple(g.values())),
        lambda p: ((array for array in p.values()), lambda g: list(g.values())),
        lambda p: (p, lambda g: dict(reversed(g.items()))),
        lambda p: ([{"params": [p["w"]]}, {"params": {"b": p["b"]}}], lambda g: [[g["w"]], {"b": g["b"]}]),
    ):
        params = parameters()
        form, shape = make(params)
        optimizer = schuss.Adam(form)
        for step in range(3):
            optimizer.step(shape(gradients(params, step)))
        results.append(params)
    for params in results[1:]:
        for name in params:
            np.testing.assert_array_equal(params[name], results[0][name])


def test_groups_have_their_own_hyperparameters():
    a, b = np.ones(3), np.ones(3)
    optimizer = schuss.SGD([{"params": [a]}, {"params": {"b": b}, "lr": 0.5, "weight_decay": 1.0}], lr=0.1)
    optimizer.step([[np.ones(3)], {"b": np.ones(3)}])
    np.testing.assert_allclose(a, 0.9)
    np.testing.assert_allclose(b, 0.0)
    optimizer.groups[0]["lr"] = 0.2
    optimizer.step([[np.ones(3)], {"b": np.ones(3)}])
    np.testing.assert_allclose(a, 0.7)


def test_groups_may_use_different_rules_of_one_class():
    a, b, c = np.ones(2), np.ones(2), np.ones(2)
    optimizer = schuss.SGD(
        [{"params": [a]}, {"params": [b], "momentum": 0.9}, {"params": [c], "momentum": 0.9, "nesterov": True}], lr=0.1
    )
    for _ in range(2):
        optimizer.step([[np.ones(2)]] * 3)
    np.testing.assert_allclose([a[0], b[0], c[0]], [0.8, 1 - 0.1 - 0.19, 1 - 0.1 - 0.19 - 0.9 * 0.19])
    assert [None if v is None else len(v) for v in optimizer.state["v"]] == [None, 1, 1]
    assert sorted(optimizer.state_dict()["state"]) == ["1.0.v", "2.0.v"]


def test_schedules_are_called_with_the_number_of_steps_taken():
    seen, theta = [], np.zeros(1)
    optimizer = schuss.SGD([theta], lr=lambda t: seen.append(t) or 1.0 / (t + 1))
    for _ in range(3):
        optimizer.step([np.ones(1)])
    assert seen == [0, 1, 2]
    np.testing.assert_allclose(theta, -(1 + 1 / 2 + 1 / 3))


def test_momentum_set_to_zero_by_hand_stops_the_velocity():
    theta = np.zeros(1)
    optimizer = schuss.SGD([theta], lr=0.1, momentum=0.9)
    optimizer.step([np.ones(1)])
    optimizer.groups[0]["momentum"] = 0.0
    optimizer.step([np.zeros(1)])
    np.testing.assert_allclose(theta, -0.1)
    assert optimizer.state["v"][0][0] == 0


def test_float32_and_float64_parameters_in_one_list():
    params = [np.ones(5, np.float32), np.ones(5, np.float64)]
    schuss.AdaGrad(params, lr=0.1).step([np.ones(5, np.float32), np.ones(5, np.float64)])
    assert [p.dtype for p in params] == [np.float32, np.float64]
    np.testing.assert_allclose(params[0], params[1], rtol=1e-6)


@pytest.mark.parametrize("shape", [(), (0,), (1,), (3, 0, 2), (2, 3, 4, 5)], ids=str)
def test_arrays_of_every_rank(shape):
    theta = np.ones(shape)
    schuss.SGD([theta], lr=0.25).step([np.ones(shape)])
    np.testing.assert_array_equal(theta, np.full(shape, 0.75))


def test_no_parameters_at_all():
    for empty in ([], {}):
        optimizer = schuss.Adam(empty)
        optimizer.step(empty)
        assert optimizer.steps == 1


def test_memory_maps_are_updated_on_disk(tmp_path):
    theta = np.lib.format.open_memmap(tmp_path / "theta.npy", "w+", np.float32, (10,))
    schuss.SGD([theta], lr=0.5).step([np.ones(10, np.float32)])
    theta.flush()
    np.testing.assert_array_equal(np.load(tmp_path / "theta.npy"), np.full(10, -0.5, np.float32))


@every_optimizer
def test_theta_is_a_copy_of_the_parameters_but_for_the_look_ahead(cls, options):
    params = parameters(np.float64)
    optimizer = cls(params, **options)
    train(optimizer, params, 3)
    theta = optimizer.theta()
    ahead = optimizer.groups[0].get("look_ahead")
    for name, p in params.items():
        assert not np.shares_memory(theta[name], p)
        expected = p if ahead is None else p - ahead * optimizer.state["v"][name]
        np.testing.assert_array_equal(theta[name], expected)


@pytest.mark.parametrize("shape", [(3,), (), (0, 2)], ids=str)
def test_states_start_where_the_registry_says(shape):
    for rule, (cls, options) in zip(RULES, OPTIMIZERS.values(), strict=False):
        optimizer = cls([np.ones(shape)], **options)
        for name, _, starts_at in RULES[rule]["states"]:
            if name in optimizer.state:
                expected = np.full(shape, options.get(starts_at, 0.0))
                np.testing.assert_array_equal(optimizer.state[name][0], expected, strict=True)


def test_edits_of_a_group_that_would_be_lost_are_refused():
    params = {"w": np.ones(3), "b": np.ones(2)}
    grads = {"w": np.ones(3), "b": np.ones(2)}
    optimizer = schuss.Adam(params)
    optimizer.step(grads)
    before = dict(optimizer.groups[0])
    for edit, message in [
        (lambda group: group.update(learning_rate=5), "groups[0] has the unknown option 'learning_rate'"),
        (lambda group: group.pop("lr"), "groups[0] lacks the option 'lr'"),
        (lambda group: group.update(params=[np.ones(3)]), "groups[0]['params'] is not what it was at construction"),
        (lambda group: group.update(eps=lambda t: 1e-8), "eps must be a number"),
        (lambda group: group["params"].update(b=np.ones(2)), "params['b'] is not what it was at construction"),
    ]:
        array = params["b"]
        edit(optimizer.groups[0])
        with pytest.raises((ValueError, TypeError), match=re.escape(message)):
            optimizer.step(grads)
        params["b"] = array
        optimizer.groups[0].clear()
        optimizer.groups[0].update(before)
    optimizer.step(grads)
    assert optimizer.steps == 2


def test_delta_bar_deltas_rate_matters_at_the_start_only():
    optimizer = schuss.DeltaBarDelta([np.ones(2)], lr=0.1, kappa=0.1, phi=0.1, gamma=0.5)
    optimizer.groups[0]["lr"] = 0.2
    with pytest.raises(ValueError, match=r"groups\[0\]\['lr'\] is 0.2, expected 0.1"):
        optimizer.step([np.ones(2)])


def test_hyperparameters_are_kept_as_plain_numbers():
    lr, betas = np.array(0.1), [np.float32(0.5), 0.75]
    optimizer = schuss.Adam([np.ones(2, np.float32)], lr=lr, betas=betas, maximize=np.True_)
    group = optimizer.groups[0]
    assert (type(group["lr"]), group["betas"], group["maximize"]) == (float, (0.5, 0.75), True)
    lr[...], betas[0] = np.nan, np.nan
    optimizer.step([np.ones(2, np.float32)])
    assert group["lr"] == 0.1


def test_theta_keeps_the_dtype_under_a_schedule_of_numpy_scalars():
    theta = np.ones(2, np.float32)
    optimizer = schuss.Nesterov([theta], lr=0.1, momentum=lambda t: np.float64(0.5))
    optimizer.step([np.ones(2, np.float32)])
    assert optimizer.theta()[0].dtype == np.float32


def test_forms_without_arrays_keep_their_form():
    assert schuss.Adam([]).theta() == []
    assert schuss.Adam({}).theta() == {}
    assert schuss.Adam([]).state == {"s": [], "r": []}


def test_names_that_read_alike_are_refused():
    with pytest.raises(ValueError, match="params has keys that read alike"):
        schuss.Adam({1: np.ones(1), "1": np.ones(1)})


def test_parameters_from_a_generator_can_be_copied():
    optimizer = schuss.Adam(np.ones(2) for _ in range(3))
    assert len(copy.deepcopy(optimizer).groups[0]["params"]) == 3


def test_parameters_may_be_set_to_new_values():
    params = {"w": np.ones(2)}
    optimizer = schuss.SGD(params, lr=0.5)
    params["w"][...] = 3.0
    optimizer.step({"w": np.ones(2)})
    np.testing.assert_array_equal(params["w"], np.full(2, 2.5))
