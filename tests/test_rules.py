"""The kernels equal their reference bit for bit, whatever the level, threads, size, offset and options."""

import doctest
import inspect

import numpy as np
import pytest

import schuss
from cases import CASES, DTYPES, LEVELS, RULES, Case
from schuss import kernels, reference
from schuss.options import OPTIONAL

BLOCK = 16  # float32 values in a block; 8 float64 values make one
GRAIN = 64  # tensors are cut at multiples of this
SENTINEL = 12345.0


def normal(rng: np.random.Generator, shape, dtype, scale=1.0) -> np.ndarray:
    return (rng.standard_normal(shape) * scale).astype(dtype)


def guarded(values: np.ndarray, offset: int) -> tuple[np.ndarray, np.ndarray]:
    """A copy of `values` inside a larger buffer of sentinels, `offset` elements from a cache line's start."""
    buffer = np.full(values.size + 64 + offset, SENTINEL, values.dtype)
    line = -(buffer.ctypes.data // buffer.itemsize) % BLOCK
    start = 16 + line + offset
    inside = buffer[start : start + values.size].reshape(values.shape)
    inside[...] = values
    return buffer, inside


def assert_same_bits(actual: np.ndarray, expected: np.ndarray) -> None:
    """Equal in every bit, the sign of zero included; only the payloads of NaNs may differ."""
    assert actual.dtype == expected.dtype
    word = {4: np.uint32, 8: np.uint64}[actual.itemsize]
    nan = np.isnan(actual)
    np.testing.assert_array_equal(nan, np.isnan(expected))
    np.testing.assert_array_equal(np.where(nan, 0, actual.view(word)), np.where(nan, 0, expected.view(word)))


def intact(buffer: np.ndarray, inside: np.ndarray) -> bool:
    return np.count_nonzero(buffer == SENTINEL) >= buffer.size - inside.size


def assert_same_steps(core, case: Case, dtype, sizes, *, offset=0, threads=1, steps=3) -> None:
    """Step a list of arrays by a core and by the reference, and compare parameters and states after every step."""
    rng = np.random.default_rng(0)
    expected = [(normal(rng, n, dtype), case.states(n, dtype)) for n in sizes]
    buffers = [[guarded(x, offset) for x in [theta, *states] if x is not None] for theta, states in expected]
    arrays = [[inside for _, inside in row] for row in buffers]
    kept = [k for k, state in enumerate(case.states(1, dtype)) if state is not None]
    for step in range(1, steps + 1):
        grads = [guarded(normal(rng, n, dtype, np.exp(rng.uniform(-20, 3, n))), offset) for n in sizes]
        states = [None] * len(RULES[case.rule]["states"])
        for position, k in enumerate(kept):
            states[k] = [row[1 + position] for row in arrays]
        before = [g.copy() for _, g in grads]
        core.step([case.group([row[0] for row in arrays], states)], [[g for _, g in grads]], step, threads, [])
        for (theta, own_states), row, (buffer, g), g_before in zip(expected, arrays, grads, before, strict=True):
            case.reference_step(theta, g_before, own_states, step)
            for mine, actual in zip([theta, *[s for s in own_states if s is not None]], row, strict=True):
                assert_same_bits(actual, mine)
            np.testing.assert_array_equal(g, g_before)
            assert intact(buffer, g)
        assert all(intact(buffer, inside) for row in buffers for buffer, inside in row)


@pytest.mark.parametrize("level", LEVELS)
@pytest.mark.parametrize("dtype", DTYPES, ids=str)
@pytest.mark.parametrize("case", CASES, ids=str)
def test_every_case_equals_the_reference(case, dtype, level):
    assert_same_steps(LEVELS[level], case, dtype, [1000, 1, 37], steps=5)


SIZES = [0, 1, 7, 8, 9, BLOCK - 1, BLOCK, BLOCK + 1, 31, 33, GRAIN - 1, GRAIN, GRAIN + 1, 127, 997]


@pytest.mark.parametrize("level", LEVELS)
@pytest.mark.parametrize("rule", RULES)
def test_every_size_and_offset(rule, level):
    for dtype in DTYPES:
        for offset in (0, 1, 5, BLOCK - 1):
            assert_same_steps(LEVELS[level], Case(rule, "book"), dtype, SIZES, offset=offset, steps=2)


@pytest.mark.parametrize("level", LEVELS)
@pytest.mark.parametrize("threads", [1, 2, 3, 4])
@pytest.mark.parametrize("rule", RULES)
def test_every_thread_count(rule, threads, level):
    large, many = [400_001, 5, 0, 300_000], [5000] * 60  # several megabytes: work for every thread
    assert_same_steps(LEVELS[level], Case(rule, "book"), DTYPES[0], large, threads=threads, steps=2)
    assert_same_steps(LEVELS[level], Case(rule, "book"), DTYPES[1], many, threads=threads, steps=2)


@pytest.mark.parametrize("level", LEVELS)
@pytest.mark.parametrize("case", CASES, ids=str)
def test_infinities_nans_and_denormals(case, level):
    special = [0.0, -0.0, np.inf, -np.inf, np.nan, 1e-45, -1e-40, 3e38, -3e38, 1.0, 1e-30]
    for dtype in DTYPES:
        theta, g = (np.array(x, dtype).reshape(-1) for x in np.meshgrid(special, special))
        expected, states = theta.copy(), case.states(theta.shape, dtype)
        actual, own = theta.copy(), [None if s is None else s.copy() for s in states]
        for step in (1, 2):
            case.reference_step(expected, g, states, step)
            LEVELS[level].step([case.group([actual], [None if s is None else [s] for s in own])], [[g]], step, 1, [])
            for mine, other in zip([expected, *states], [actual, *own], strict=True):
                if mine is not None:
                    assert_same_bits(other, mine)


@pytest.mark.parametrize("level", LEVELS)
def test_square_roots_are_exact_for_every_float32_mantissa(level):
    x = np.arange(0x3F800000, 0x40800000, dtype=np.uint32).view(np.float32)  # all of [1, 4)
    theta, g, r, u = np.zeros_like(x), np.ones_like(x), np.ones_like(x), x.copy()
    # AdaDelta's step is √((u + δ)/(r + δ))·g, here √u.
    case = Case("adadelta", "root", {"rho": 1.0, "eps": 0.0})
    LEVELS[level].step([case.group([theta], [[r], [u]])], [[g]], 1, 2, [])
    np.testing.assert_array_equal(-theta, np.sqrt(x))


def test_a_step_over_groups_of_several_rules_and_dtypes_is_one_call():
    core = next(reversed(LEVELS.values()))
    rng = np.random.default_rng(0)
    groups, grads, checks = [], [], []
    for case in CASES:
        for dtype in DTYPES:
            theta, g = normal(rng, 100, dtype), normal(rng, 100, dtype)
            states, expected, expected_states = case.states(100, dtype), theta.copy(), case.states(100, dtype)
            groups.append(case.group([theta], [None if s is None else [s] for s in states]))
            grads.append([g])
            case.reference_step(expected, g, expected_states, 1)
            checks += [(theta, expected), *zip(states, expected_states, strict=True)]
    core.step(groups, grads, 1, 2, [])
    for actual, expected in checks:
        if expected is not None:
            assert_same_bits(actual, expected)


def test_numpys_own_scalars_are_numbers_like_any_other():
    for scalar in (np.float64(0.1), np.float32(0.1)):
        theta, expected, g = (np.linspace(-1, 1, 1000, dtype=np.float32) for _ in range(3))
        kernels.sgd(theta, g, lr=scalar, weight_decay=np.float64(0.3))
        reference.sgd(expected, g, lr=scalar, weight_decay=np.float64(0.3))
        assert_same_bits(theta, expected)


# ---- the three places that name a rule's options agree ----

CLASSES = {
    "sgd": schuss.SGD,
    "momentum": schuss.Momentum,
    "nesterov": schuss.Nesterov,
    "delta_bar_delta": schuss.DeltaBarDelta,
    "adagrad": schuss.AdaGrad,
    "rmsprop": schuss.RMSProp,
    "adadelta": schuss.AdaDelta,
    "adam": schuss.Adam,
    "adamw": schuss.AdamW,
    "nadam": schuss.NAdam,
    "radam": schuss.RAdam,
    "adamax": schuss.Adamax,
    "rprop": schuss.Rprop,
    "asgd": schuss.ASGD,
}


def test_every_rule_has_a_class_and_a_reference():
    assert list(CLASSES) == list(RULES), "a rule of the registry lacks its Python class in this table"
    others = {"batch_norm", "batch_norm_backward", "bfgs_update", "cg", "coordinate", "minimizers", "newton_direction"}
    assert set(reference.__all__) - others == set(RULES), "a rule of the registry lacks its NumPy reference"
    assert set(RULES) <= set(dir(kernels))


@pytest.mark.parametrize("rule", RULES)
def test_kernel_and_reference_have_the_same_signature(rule):
    def described(function):
        parameters = inspect.signature(function).parameters.values()
        return [(p.name, p.kind, p.default) for p in parameters if p.name != "num_threads"]

    assert described(getattr(kernels, rule)) == described(getattr(reference, rule))


@pytest.mark.parametrize("rule", RULES)
def test_class_and_registry_agree_on_names_order_and_defaults(rule):
    parameters = dict(inspect.signature(CLASSES[rule]).parameters)
    if parameters.pop("options", None):  # Momentum and Nesterov pass them on to SGD
        parameters = {**inspect.signature(schuss.SGD).parameters, **parameters}
    options = RULES[rule]["options"]
    shared = [name for name in parameters if name in options]
    assert shared == [name for name in options if name in shared]
    assert set(options) - set(shared) <= {*OPTIONAL, "dampening", "decoupled_weight_decay"}
    for name in shared:
        default = parameters[name].default
        assert default is inspect.Parameter.empty or default == options[name], name


@pytest.mark.parametrize("rule", RULES)
def test_every_class_steps_as_its_rule_says(rule):
    required = {"lr": 0.01, "kappa": 0.001, "phi": 0.1, "gamma": 0.7} if rule == "delta_bar_delta" else {"lr": 0.01}
    rng = np.random.default_rng(1)
    theta = normal(rng, (3, 50), np.float32)
    expected, case = theta.copy(), Case(rule, "class", {"lr": 0.01})
    states = case.states(theta.shape, theta.dtype)
    optimizer = CLASSES[rule]([theta], **required)
    for step in range(1, 6):
        g = normal(rng, theta.shape, theta.dtype)
        case.reference_step(expected, g, states, step)
        optimizer.step([g])
        np.testing.assert_array_equal(theta, expected)
    for (name, _, _), state in zip(RULES[rule]["states"], states, strict=True):
        if state is not None:
            np.testing.assert_array_equal(optimizer.state[name][0], state)


@pytest.mark.parametrize("rule", RULES)
def test_every_kernel_steps_as_its_reference(rule):
    rng = np.random.default_rng(2)
    case = Case(rule, "kernel")
    theta, g = normal(rng, 77, np.float64), normal(rng, 77, np.float64)
    expected, states = theta.copy(), case.states(77, np.float64)
    own = [None if s is None else s.copy() for s in states]
    listed = [[theta.copy()], *[None if s is None else [s.copy()] for s in states]]
    counted = {"step": 3} if RULES[rule]["counts_steps"] else {}
    case.reference_step(expected, g, states, 3)
    getattr(kernels, rule)(listed[0], [g], *listed[1:], **counted)
    getattr(kernels, rule)(theta, g, *own, num_threads=1, **counted)
    for mine, array, in_list in zip([expected, *states], [theta, *own], listed, strict=True):
        if mine is not None:
            assert_same_bits(array, mine)
            assert_same_bits(in_list[0], mine)


@pytest.mark.parametrize("rule", RULES)
def test_the_example_of_every_kernel_runs(rule):
    test = doctest.DocTestParser().get_doctest(getattr(kernels, rule).__doc__, {}, rule, None, 0)
    assert test.examples
    assert doctest.DocTestRunner().run(test).failed == 0
