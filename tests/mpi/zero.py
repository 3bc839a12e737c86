"""ZeroOptimizer against the optimizer in one process, on as many ranks as there are."""

import sys
from importlib.util import find_spec

import harness
import numpy as np
from harness import comm, example, raises

import schuss
from schuss.distributed import ZeroOptimizer
from schuss.distributed.pieces import GRAIN
from test_optimizers import OPTIMIZERS
from test_rules import CLASSES

TABLE = {
    **OPTIMIZERS,
    **{f"torch {rule}": (cls, {"convention": "torch", **OPTIMIZERS[rule][1]}) for rule, cls in CLASSES.items()},
    "decay": (schuss.AdamW, {"weight_decay": 0.1, "maximize": True}),
}
del TABLE["torch delta_bar_delta"]  # which is not there

SHAPES = {"w": (70, 170), "empty": (0, 3), "b": (5,), "scalar": (), "v": (5000,)}


def parameters(dtypes=("float32",)):
    rng = np.random.default_rng(0)
    return {
        name: np.asarray(rng.standard_normal(shape)).astype(dtypes[i % len(dtypes)])
        for i, (name, shape) in enumerate(SHAPES.items())
    }


def gradients(params, step, rank):
    """Small integers: their sum is exact in any order."""
    rng = np.random.default_rng((step, rank))
    return {name: rng.integers(-9, 9, p.shape).astype(p.dtype) for name, p in params.items()}


def summed(params, step, ranks):
    grads = [gradients(params, step, rank) for rank in range(ranks)]
    return {name: np.asarray(sum(g[name] for g in grads), p.dtype) for name, p in params.items()}


def assert_same(actual, expected):
    assert list(actual) == list(expected)
    for name, array in expected.items():
        assert actual[name].dtype == array.dtype
        np.testing.assert_array_equal(actual[name], array, err_msg=name)


def assert_same_state(actual, expected):
    assert_same(actual["state"], {name: expected["state"][name] for name in actual["state"]})
    assert len(actual["state"]) == len(expected["state"])
    assert {**actual, "state": 0} == {**expected, "state": 0}


def check_every_optimizer_takes_the_step_of_one_process():
    for name, (cls, options) in list(TABLE.items())[:: max(1, 2 * comm.size - 4)]:  # all on two ranks
        params, expected = parameters(), parameters()
        arrays = dict(params)
        zero, alone = ZeroOptimizer(cls(params, **options), comm, bucket=9000), cls(expected, **options)
        for step in range(3):
            zero.step(gradients(params, step, comm.rank))
            alone.step(summed(params, step, comm.size))
        assert all(params[key] is array for key, array in arrays.items()), name
        assert_same(params, expected)
        assert_same(zero.theta(), alone.theta())
        assert_same_state(zero.state_dict(), alone.state_dict())
        assert zero.steps == alone.steps == 3


def check_groups_and_two_dtypes_and_changed_hyperparameters():
    results = []
    for make in (lambda opt: ZeroOptimizer(opt, comm, bucket=700), lambda opt: opt):
        params = parameters(("float32", "float64"))
        groups = [
            {"params": [params["w"], params["b"]]},
            {"params": {"v": params["v"]}, "momentum": 0.9, "nesterov": True},
            {"params": []},
            {"params": [params["scalar"], params["empty"]], "momentum": 0.5, "weight_decay": 0.1},
        ]
        opt = make(schuss.SGD(groups, lr=lambda t: 0.25 / (t + 1)))
        for step in range(3):
            g = (gradients if not results else lambda *a: summed(*a[:2], comm.size))(params, step, comm.rank)
            opt.step([[g["w"], g["b"]], {"v": g["v"]}, [], [g["scalar"], g["empty"]]])
            opt.groups[1]["lr"] = 0.125
        results.append((params, opt.theta(), opt.state_dict()))
    (params, theta, state), (expected, expected_theta, expected_state) = results
    assert_same(params, expected)
    assert_same(theta[1], expected_theta[1])
    assert [len(group) for group in theta] == [2, 1, 0, 2]
    assert_same_state(state, expected_state)


def check_the_mean_of_the_gradients():
    params, expected = parameters(), parameters()
    zero = ZeroOptimizer(schuss.Adam(params, grad_scale=2.0), comm, reduction="mean")
    alone = schuss.Adam(expected, grad_scale=2.0 * comm.size)
    for step in range(3):
        zero.step(gradients(params, step, comm.rank))
        whole = summed(params, step, comm.size)
        alone.step(whole)
    assert_same(params, expected)


def check_any_gradient_gives_every_rank_the_same_bits():
    params = parameters()
    zero = ZeroOptimizer(schuss.RMSProp(params), comm, bucket=512)
    rng = np.random.default_rng(comm.rank)
    mine = {name: np.asarray(rng.standard_normal(p.shape), p.dtype) for name, p in params.items()}
    zero.step(mine)
    for other in comm.allgather(params):
        assert_same(other, params)
    if comm.size == 1:
        expected = parameters()
        schuss.RMSProp(expected).step(mine)
        assert_same(params, expected)


def check_checkpoints_load_at_every_number_of_ranks():
    cls, options = TABLE["rmsprop all"]
    expected, saved_params = parameters(), parameters()
    alone, zero = cls(expected, **options), ZeroOptimizer(cls(saved_params, **options), comm, bucket=999)
    for step in range(2):
        alone.step(summed(expected, step, comm.size))
        zero.step(gradients(saved_params, step, comm.rank))
    saved = zero.state_dict()
    for step in range(2, 4):
        alone.step(summed(expected, step, comm.size))
    for ranks in range(1, comm.size + 1):
        some = comm.Split(comm.rank < ranks)
        params = {name: p.copy() for name, p in saved_params.items()}
        resumed = ZeroOptimizer(cls(params, **options), some, bucket=500)
        resumed.load_state_dict(saved)
        for step in range(2, 4):
            whole = summed(params, step, comm.size)
            resumed.step({name: np.asarray(g * (some.rank == 0), g.dtype) for name, g in whole.items()})
        assert_same(params, expected)
        assert_same_state(resumed.state_dict(), alone.state_dict())
        some.Free()
    single = cls(saved_params, **options)
    single.load_state_dict(saved)
    for step in range(2, 4):
        single.step(summed(expected, step, comm.size))
    assert_same(saved_params, expected)


def check_an_optimizer_that_has_begun_goes_on():
    params, expected = parameters(), parameters()
    begun, alone = schuss.Adam(params), schuss.Adam(expected)
    for opt, own in ((begun, params), (alone, expected)):
        opt.step(summed(own, 0, comm.size))
    zero = ZeroOptimizer(begun, comm)
    zero.step(gradients(params, 1, comm.rank))
    alone.step(summed(params, 1, comm.size))
    assert_same(params, expected)
    assert "taken over by a ZeroOptimizer" in raises(ValueError, lambda: begun.step(params))
    assert "another ZeroOptimizer" in raises(ValueError, lambda: ZeroOptimizer(begun, comm))


def check_the_state_is_shared_out():
    params = [np.zeros(100_000), np.zeros((50, 40)), np.zeros(7)]
    total = sum(p.size for p in params)
    zero = ZeroOptimizer(schuss.Adam(params), comm, bucket=30_000)
    held = sum(a.size for states in zero._share._states for arrays in states.named().values() for a in arrays)
    assert comm.allreduce(held) == 2 * total
    assert abs(held - 2 * total / comm.size) <= 2 * GRAIN


def check_ranks_without_a_share():
    params = [np.ones(3), np.ones(())]
    zero = ZeroOptimizer(schuss.Momentum(params, lr=0.5), comm)
    zero.step([np.ones(3), np.ones(())])
    for p in params:
        np.testing.assert_array_equal(p, 1 - 0.5 * comm.size)
    assert comm.allreduce(len(zero.groups[0]["params"])) == 2
    assert list(zero.state_dict()["state"]) == ["0.v", "1.v"]
    nothing = ZeroOptimizer(schuss.Adam([]), comm)
    nothing.step([])
    assert (nothing.steps, nothing.theta()) == (1, [])


DTYPES = [("float32", "float64"), ("float16", "float32")]
if find_spec("ml_dtypes"):
    import ml_dtypes

    DTYPES.append((ml_dtypes.bfloat16, "float16"))

PHASES = [
    {"clip_norm": 2.0, "grad_scale": 4.0},
    {"clip_norm": np.inf, "clip_value": 3.0, "convention": "torch"},
    {"clip_norm": 2.0, "state_dtype": "uint8", "average": "ema"},
    {"state_dtype": "bfloat16", "seed": 3, "average": "uniform", "clip_value": 2.0},
    {"state_dtype": "uint8", "rounding": "nearest", "skip_nonfinite": True},
]


def assert_alike(zero, alone, params, expected):
    assert_same(params, expected)
    assert_same(zero.theta(), alone.theta())
    assert_same_state(zero.state_dict(), alone.state_dict())
    assert (zero.grad_norm, zero.skipped, zero.averaged) == (alone.grad_norm, alone.skipped, alone.averaged)


def check_what_is_done_around_the_rule():
    for phase in PHASES:
        for dtypes in DTYPES:
            params, expected = parameters(dtypes), parameters(dtypes)
            zero = ZeroOptimizer(schuss.AdamW(params, **phase), comm, bucket=9000)
            alone = schuss.AdamW(expected, **phase)
            for step in range(3):
                zero.step(gradients(params, step, comm.rank))
                alone.step(summed(params, step, comm.size))
            assert_alike(zero, alone, params, expected)
            if "average" in phase:
                assert_same(zero.average(), alone.average())
                with zero.averaged_params(), alone.averaged_params():
                    assert_same(params, expected)
                    assert "within averaged_params" in raises(ValueError, lambda zero=zero, p=params: zero.step(p))
                assert_same(params, expected)


def check_nesterov_averages_and_wide_gradients_of_16_bit_parameters():
    options = {"momentum": 0.9, "nesterov": True, "average": "ema", "state_dtype": "uint8", "clip_norm": 1.0}
    params, expected = parameters(("float16",)), parameters(("float16",))
    zero, alone = ZeroOptimizer(schuss.SGD(params, lr=0.1, **options), comm), schuss.SGD(expected, lr=0.1, **options)
    for step in range(3):
        zero.step({name: g.astype(np.float32) for name, g in gradients(params, step, comm.rank).items()})
        alone.step(summed(params, step, comm.size))
    assert_alike(zero, alone, params, expected)
    assert_same(zero.average(), alone.average())


def check_the_norm_of_what_is_too_large_to_square():
    for scale in (1e200, 1e-200):
        params, expected = {"v": np.ones(9000)}, {"v": np.ones(9000)}
        zero, alone = (
            ZeroOptimizer(schuss.SGD(params, lr=0.1, clip_norm=1.0), comm),
            schuss.SGD(expected, lr=0.1, clip_norm=1.0),
        )
        zero.step({"v": np.full(9000, scale * (comm.rank == 0))})
        alone.step({"v": np.full(9000, scale)})
        assert_alike(zero, alone, params, expected)


def check_copies_and_gradients_set_to_zero():
    results = []
    for make in (lambda opt: ZeroOptimizer(opt, comm), lambda opt: opt):
        params = parameters()
        copies = {name: np.zeros(p.shape, np.float16) for name, p in params.items()}
        opt = make(schuss.Adam(params, copies=copies, zero_grad=True))
        grads = summed(params, 0, comm.size) if results else gradients(params, 0, comm.rank)
        opt.step(grads)
        assert not any(g.any() for g in grads.values())
        results.append((params, copies))
    (params, copies), (expected, expected_copies) = results
    assert_same(params, expected)
    assert_same(copies, expected_copies)


def check_options_changed_between_steps_and_saved():
    params, expected = parameters(), parameters()
    zero, alone = ZeroOptimizer(schuss.Adam(params, average="ema"), comm), schuss.Adam(expected, average="ema")
    for step, norm in enumerate((None, 1.0, np.inf)):
        for opt in (zero, alone):
            opt.phase["clip_norm"] = norm
        if step == 2:
            zero.reset_average()
            alone.reset_average()
        zero.step(gradients(params, step, comm.rank))
        alone.step(summed(params, step, comm.size))
    assert_alike(zero, alone, params, expected)
    resumed = ZeroOptimizer(schuss.Adam(params, average="ema"), comm, bucket=5000)
    resumed.load_state_dict(alone.state_dict())
    assert_same_state(resumed.state_dict(), alone.state_dict())


def check_steps_that_are_not_finite_are_left_out_on_all_ranks():
    params, expected = parameters(), parameters()
    zero, alone = (schuss.Adam(own, skip_nonfinite=True, zero_grad=True) for own in (params, expected))
    zero = ZeroOptimizer(zero, comm)
    grads, whole = gradients(params, 0, comm.rank), summed(params, 0, comm.size)
    whole["v"][1000] = np.nan
    if comm.rank == comm.size - 1:
        grads["v"][1000] = np.nan
    kept = {name: g.copy() for name, g in grads.items()}
    zero.step(grads)
    alone.step(whole)
    assert_same(grads, kept)
    assert (zero.steps, zero.skipped) == (0, 1)
    assert np.isnan(zero.grad_norm)
    assert_same(params, expected)
    assert_same_state(zero.state_dict(), alone.state_dict())
    zero.step(gradients(params, 0, comm.rank))
    assert (zero.steps, zero.skipped) == (1, 1)


def check_torch_tensors():
    if comm.size != 2:  # importing torch takes seconds on every rank
        return
    try:
        import torch
    except ImportError:
        return
    options = {"state_dtype": "bfloat16", "clip_norm": 3.0}
    for dtype in (torch.float32, torch.bfloat16):
        made = [
            {name: torch.nn.Parameter(torch.from_numpy(p).to(dtype)) for name, p in parameters().items()}
            for _ in range(2)
        ]
        zero, alone = ZeroOptimizer(schuss.Adam(made[0], **options), comm), schuss.Adam(made[1], **options)
        for step in range(2):
            grads, whole = gradients(parameters(), step, comm.rank), summed(parameters(), step, comm.size)
            zero.step({name: torch.from_numpy(g).to(dtype) for name, g in grads.items()})
            alone.step({name: torch.from_numpy(g) for name, g in whole.items()})
        values, expected = ({name: p.detach().float().numpy() for name, p in own.items()} for own in made)
        assert_same(values, expected)
        assert_same_state(zero.state_dict(), alone.state_dict())
        assert zero.grad_norm == alone.grad_norm


def check_the_example_runs():
    np.testing.assert_allclose(example(ZeroOptimizer)["theta"], [0.9, -1.9])


if __name__ == "__main__":
    harness.run(sys.modules["__main__"].__dict__)
