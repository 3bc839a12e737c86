"""The options of what a step does around its update rule, as users meet them."""

import copy
import math
import pickle
import re

import numpy as np
import pytest

import schuss
from schuss import reference
from schuss.reference import one_pass, storage

NAN, INF = math.nan, math.inf


def arrays(*shapes, dtype=np.float32, seed=0):
    rng = np.random.default_rng(seed)
    return [rng.standard_normal(shape).astype(dtype) for shape in shapes]


# ---- clipping and unscaling ----


def test_clipping_by_norm_takes_all_gradients_together_and_leaves_them_alone():
    params, grads = arrays((3, 4), 5), arrays((3, 4), 5, seed=1)
    before, kept = [p.copy() for p in params], [g.copy() for g in grads]
    opt = schuss.SGD(params, lr=1.0, clip_norm=0.5)
    opt.step(grads)
    norm = math.sqrt(sum(float((g.astype(np.float64) ** 2).sum()) for g in grads))
    assert opt.grad_norm == pytest.approx(norm, rel=1e-12)
    for p, old, g, g_before in zip(params, before, grads, kept, strict=True):
        np.testing.assert_allclose(old - p, 0.5 / norm * g, rtol=2e-6, atol=1e-7)
        np.testing.assert_array_equal(g, g_before)


def test_the_norm_is_over_all_groups_and_unscaled():
    groups = [{"params": [np.zeros(2)]}, {"params": {"b": np.zeros(1)}, "lr": 0.5}]
    opt = schuss.SGD(groups, lr=1.0, clip_norm=INF, grad_scale=10.0)
    assert opt.grad_norm is None
    opt.step([[np.array([30.0, 0.0])], {"b": np.array([40.0])}])
    assert opt.grad_norm == 5.0
    np.testing.assert_array_equal(groups[0]["params"][0], [-3.0, 0.0])
    np.testing.assert_array_equal(groups[1]["params"]["b"], [-2.0])


@pytest.mark.parametrize(("dtype", "size"), [(np.float32, 1e30), (np.float64, 1e200), (np.float64, 1e-200)])
def test_norms_of_extreme_gradients_neither_overflow_nor_vanish(dtype, size):
    theta = np.zeros(2, dtype)
    opt = schuss.SGD([theta], lr=1.0, clip_norm=1.0 if size > 1 else size)
    opt.step([np.array([3, 4], dtype) * dtype(size)])
    assert opt.grad_norm == pytest.approx(5 * size, rel=1e-6)
    np.testing.assert_allclose(theta, np.array([-0.6, -0.8]) * min(1, size), rtol=1e-6)


def test_an_infinite_bound_of_the_norm_measures_and_does_not_clip():
    for value, norm in ((INF, INF), (NAN, NAN)):
        theta = np.zeros(2)
        opt = schuss.SGD([theta], lr=1.0, clip_norm=INF, clip_value=3.0)
        opt.step([np.array([2.0, value])])
        np.testing.assert_equal(opt.grad_norm, norm)
        np.testing.assert_array_equal(theta, [-2.0, -3.0 if value == INF else NAN])


def test_clipping_by_value_comes_after_the_norm():
    theta = np.zeros(2)
    schuss.SGD([theta], lr=1.0, clip_norm=5.0, clip_value=3.5).step([np.array([6.0, -8.0])])
    np.testing.assert_array_equal(theta, [-3.0, 3.5])


@pytest.mark.parametrize("convention", ["book", "torch"])
def test_clipping_as_torch_does(convention):
    torch = pytest.importorskip("torch")
    params, grads = arrays(7, (2, 3)), arrays(7, (2, 3), seed=1)
    tensors = [torch.nn.Parameter(torch.tensor(p)) for p in params]
    for tensor, g in zip(tensors, grads, strict=True):
        tensor.grad = torch.tensor(g)
    norm = torch.nn.utils.clip_grad_norm_(tensors, 0.3)
    torch.optim.SGD(tensors, lr=0.5).step()
    opt = schuss.SGD(params, lr=0.5, clip_norm=0.3, convention=convention)
    opt.step(grads)
    assert opt.grad_norm == pytest.approx(float(norm), rel=1e-6)
    for p, tensor in zip(params, tensors, strict=True):
        np.testing.assert_allclose(p, tensor.detach().numpy(), rtol=1e-5 if convention == "book" else 1e-6, atol=1e-7)


# ---- gradients that are not finite ----


@pytest.mark.parametrize("bad", [NAN, INF, -INF])
@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_a_step_that_is_not_finite_is_left_out(bad, dtype):
    theta, g = np.ones(2000, dtype), np.ones(2000, dtype)
    copies = [np.zeros(2000, np.float16)]
    opt = schuss.Adam([theta], lr=0.1, skip_nonfinite=True, average="ema", zero_grad=True, copies=copies)
    opt.step([g])
    held = {name: a.copy() for name, a in opt.state_dict()["state"].items()}
    before, copied = theta.copy(), copies[0].copy()
    g[:] = 1
    g[1234] = bad
    opt.step([g])
    assert (opt.steps, opt.skipped, opt.averaged) == (1, 1, 1)
    assert not math.isfinite(opt.grad_norm)
    assert g[0] == 1
    np.testing.assert_array_equal(theta, before)
    np.testing.assert_array_equal(copies[0], copied)
    for name, array in opt.state_dict()["state"].items():
        np.testing.assert_array_equal(array, held[name])
    g[1234] = 1
    opt.step([g])
    assert (opt.steps, opt.skipped) == (2, 1)
    assert not g.any()


# ---- averages ----


def test_the_uniform_average_is_the_mean_of_all_points():
    theta, points = np.array([4.0, -2.0]), []
    opt = schuss.SGD({"w": theta}, lr=0.3, average="uniform")
    np.testing.assert_array_equal(opt.average()["w"], theta)
    for _ in range(20):
        opt.step({"w": theta.copy()})
        points.append(theta.copy())
    np.testing.assert_allclose(opt.average()["w"], np.mean(points, axis=0), rtol=1e-14)
    opt.reset_average()
    opt.step({"w": theta.copy()})
    np.testing.assert_array_equal(opt.average()["w"], theta)


@pytest.mark.parametrize(("average", "multi"), [("uniform", "get_swa_multi_avg_fn"), ("ema", "get_ema_multi_avg_fn")])
def test_averages_are_torchs(average, multi):
    torch = pytest.importorskip("torch")
    swa = pytest.importorskip("torch.optim.swa_utils")
    theta = np.array([4.0, -2.0, 1.0], np.float32)
    module = torch.nn.Linear(3, 1, bias=False)
    module.weight.data[0] = torch.tensor(theta)
    fn = getattr(swa, multi)(*([0.9] if average == "ema" else []))
    averaged, inner = swa.AveragedModel(module, multi_avg_fn=fn), torch.optim.SGD(module.parameters(), lr=0.3)
    opt = schuss.SGD([theta], lr=0.3, average=average, average_decay=0.9, convention="torch")
    for _ in range(8):
        module.weight.grad = module.weight.detach().clone()
        inner.step()
        averaged.update_parameters(module)
        opt.step([theta.copy()])
    np.testing.assert_allclose(opt.average()[0], averaged.module.weight.detach().numpy()[0], rtol=1e-6)


def test_with_nesterov_momentum_the_points_are_not_the_look_ahead_ones():
    theta, points = np.array([4.0, -2.0]), []
    opt = schuss.SGD([theta], lr=0.1, momentum=lambda t: min(0.9, 0.5 + 0.1 * t), nesterov=True, average="uniform")
    for _ in range(10):
        opt.step([theta.copy()])
        points.append(opt.theta()[0])
    np.testing.assert_allclose(opt.average()[0], np.mean(points, axis=0), rtol=1e-13)


@pytest.mark.parametrize("state_dtype", ["bfloat16", "uint8"])
def test_the_points_of_the_average_are_those_that_theta_gives(state_dtype):
    theta, points = np.linspace(-4, 4, 700, dtype=np.float32), []
    opt = schuss.Nesterov([theta], lr=0.1, average="uniform", state_dtype=state_dtype)
    for _ in range(5):
        opt.step([theta.copy()])
        points.append(opt.theta()[0])
    np.testing.assert_allclose(opt.average()[0], np.mean(points, axis=0), rtol=1e-5, atol=1e-6)


def test_parameters_hold_the_average_for_a_while():
    theta = np.array([4.0, -2.0])
    opt = schuss.SGD([theta], lr=0.3, average="uniform")
    for _ in range(3):
        opt.step([theta.copy()])
    last, mean = theta.copy(), opt.average()[0]
    with opt.averaged_params():
        np.testing.assert_array_equal(theta, mean)
        with pytest.raises(ValueError, match=re.escape("step() within averaged_params()")):
            opt.step([theta.copy()])
        with pytest.raises(ValueError, match="params hold the average already"), opt.averaged_params():
            pass
    np.testing.assert_array_equal(theta, last)
    with pytest.raises(ZeroDivisionError), opt.averaged_params():
        1 / 0  # noqa: B018
    np.testing.assert_array_equal(theta, last)
    assert opt.steps == 3


def test_parameters_without_dimensions_hold_their_average_and_begin_their_states():
    theta = np.array(1.0, np.float32)
    opt = schuss.SGD([theta], lr=0.5, average="uniform")
    for _ in range(2):
        opt.step([theta.copy()])
    with opt.averaged_params():
        assert theta == 0.375
    assert theta == 0.25
    assert schuss.Rprop([theta], lr=0.5).state["size"][0] == 0.5


def test_while_parameters_hold_the_average_it_is_what_theta_gives_and_nothing_is_loaded():
    theta = np.array([4.0, -2.0])
    opt = schuss.Nesterov([theta], lr=0.1, average="uniform")
    for _ in range(3):
        opt.step([theta.copy()])
    mean, saved = opt.average()[0], opt.state_dict()
    with opt.averaged_params():
        np.testing.assert_array_equal(opt.theta()[0], mean)
        with pytest.raises(ValueError, match=re.escape("load_state_dict() within averaged_params()")):
            opt.load_state_dict(saved)


@pytest.mark.parametrize("copied", [copy.deepcopy, lambda opt: pickle.loads(pickle.dumps(opt))], ids=["copy", "pickle"])
def test_a_copy_made_while_parameters_hold_the_average_goes_on_from_it(copied):
    theta = np.array([4.0, -2.0])
    opt = schuss.SGD([theta], lr=0.5, average="uniform")
    for _ in range(2):
        opt.step([theta.copy()])
    with opt.averaged_params():
        other = copied(opt)
    np.testing.assert_array_equal(theta, [1.0, -0.5])
    other.step([np.array([1.0, 1.0])])
    np.testing.assert_array_equal(other.theta()[0], [1.0, -1.25])
    np.testing.assert_array_equal(theta, [1.0, -0.5])


def test_without_averaging_there_is_no_average():
    opt = schuss.SGD([np.ones(2)], lr=0.1)
    with pytest.raises(ValueError, match="average is None, expected 'ema' or 'uniform' at construction"):
        opt.average()
    with pytest.raises(ValueError, match="average is None"), opt.averaged_params():
        pass


# ---- formats ----


def test_mixed_precision_with_a_master_copy():
    ml_dtypes = pytest.importorskip("ml_dtypes")
    master, half = arrays((40, 7))[0], np.zeros((40, 7), ml_dtypes.bfloat16)
    expected, g = master.copy(), arrays((40, 7), seed=1)[0].astype(ml_dtypes.bfloat16)
    opt = schuss.AdamW({"w": master}, lr=0.1, copies={"w": half})
    opt.step({"w": g})
    reference.adamw(expected, g.astype(np.float32), np.zeros_like(expected), np.zeros_like(expected), step=1, lr=0.1)
    np.testing.assert_array_equal(master, expected)
    np.testing.assert_array_equal(half, expected.astype(ml_dtypes.bfloat16))


@pytest.mark.parametrize("dtype", ["bfloat16", "float16"])
def test_gradients_in_fewer_bits_need_no_other_option(dtype):
    dtype = np.float16 if dtype == "float16" else pytest.importorskip("ml_dtypes").bfloat16
    theta, grads = arrays(300)[0], [g.astype(dtype) for g in arrays(300, 300, 300, seed=1)]
    expected = theta.copy()
    opt, plain = schuss.Adam([theta], lr=0.1), schuss.Adam([expected], lr=0.1)
    for g in grads:
        opt.step([g])
        plain.step([g.astype(np.float32)])
        np.testing.assert_array_equal(theta, expected)
    assert opt.steps == 3
    with pytest.raises(TypeError, match=re.escape("grads[0] has dtype float64, expected float32, bfloat16 or float16")):
        opt.step([np.ones(300)])
    with pytest.raises(TypeError, match=re.escape("grads[0] has dtype float32, expected float64")):
        schuss.SGD([np.ones(3)], lr=0.1).step([np.ones(3, np.float32)])


def test_bfloat16_of_the_other_byte_order_is_refused():
    ml_dtypes = pytest.importorskip("ml_dtypes")
    swapped = np.ones(3, ml_dtypes.bfloat16)
    swapped = swapped.view(swapped.dtype.newbyteorder())
    before = swapped.tobytes()
    with pytest.raises(TypeError, match=re.escape("params[0] has dtype >V2, expected float32, float64, bfloat16 or")):
        schuss.SGD([swapped], lr=0.1)
    with pytest.raises(TypeError, match=re.escape("grads[0] has dtype >V2, expected float32, bfloat16 or float16")):
        schuss.SGD([np.ones(3, np.float32)], lr=0.1).step([swapped])
    assert swapped.tobytes() == before


def test_torchs_half_tensors_are_updated_where_they_lie():
    torch = pytest.importorskip("torch")
    for dtype in (torch.bfloat16, torch.float16):
        theta = torch.nn.Parameter(torch.ones(300, dtype=dtype))
        pointer = theta.data_ptr()
        opt = schuss.SGD([theta], lr=0.25, rounding="nearest")
        opt.step([torch.ones(300, dtype=dtype)])
        assert theta.data_ptr() == pointer
        assert bool((theta == 0.75).all())
        assert opt.theta()[0].dtype == np.float32


def test_small_changes_of_bfloat16_add_up_by_chance_only():
    ml_dtypes = pytest.importorskip("ml_dtypes")
    for rounding, moved in (("nearest", 0.0), ("stochastic", 0.05)):
        theta = np.ones(4000, ml_dtypes.bfloat16)
        opt = schuss.SGD([theta], lr=5e-4, rounding=rounding)
        for _ in range(100):
            opt.step([np.ones(4000, np.float32)])
        assert abs((1 - theta.astype(np.float32)).mean() - moved) < 0.002


def test_the_bits_of_chance_depend_on_seed_step_tensor_and_place_only():
    def run(seed, splits, threads):
        params = np.split(np.ones(6000, np.float32), splits)
        opt = schuss.Adam(params, state_dtype="uint8", seed=seed, num_threads=threads)
        for t in range(3):
            opt.step(np.split(np.random.default_rng(t).standard_normal(6000).astype(np.float32), splits))
        return np.concatenate(params)

    base = run(0, [], 1)
    np.testing.assert_array_equal(run(0, [], 4), base)
    assert (run(1, [], 1) != base).mean() > 0.5
    assert (run(0, [3072], 1)[:3072] == base[:3072]).all()
    assert (run(0, [3072], 1)[3072:] != base[3072:]).mean() > 0.5


@pytest.mark.parametrize("state_dtype", ["float32", "bfloat16", "uint8"])
def test_saved_states_continue_bit_for_bit_and_are_never_recast(state_dtype):
    def fresh(theta):
        return schuss.Adam({"w": theta}, lr=0.01, state_dtype=state_dtype, average="ema", clip_norm=1.0, seed=3)

    straight, resumed = np.ones(1000, np.float32), np.ones(1000, np.float32)
    opt, first = fresh(straight), fresh(resumed)
    grads = [{"w": g} for g in arrays(*[1000] * 6, seed=4)]
    for g in grads:
        opt.step(g)
    for g in grads[:3]:
        first.step(g)
    state = first.state_dict()
    kept = {"float32": np.float32, "bfloat16": np.uint16, "uint8": np.uint8}[state_dtype]
    assert state["state"]["w.r"].dtype == kept
    second = fresh(resumed)
    second.load_state_dict(state)
    for g in grads[3:]:
        second.step(g)
    np.testing.assert_array_equal(resumed, straight)
    for name, array in opt.state_dict()["state"].items():
        np.testing.assert_array_equal(array, second.state_dict()["state"][name])


def test_states_that_start_at_an_option_do_so_in_few_bits():
    for state_dtype, tolerance in (("bfloat16", 2**-8), ("uint8", 1 / 16)):
        for lr in (0.01, 0.37):
            opt = schuss.DeltaBarDelta(
                [np.ones(300, np.float32)], lr, kappa=0.0, phi=0.0, gamma=0.5, state_dtype=state_dtype
            )
            stored = opt.state["rate"][0]
            read = (
                storage.decode_bfloat16(stored)
                if state_dtype == "bfloat16"
                else storage.decode_uint8(stored, opt.state["rate_scale"][0], positive=True)
            )
            np.testing.assert_allclose(read, lr, rtol=tolerance)


def test_8_bits_take_a_quarter_of_the_memory():
    theta = np.ones(100_000, np.float32)
    sizes = {
        dtype: sum(a.nbytes for a in schuss.Adam([theta], state_dtype=dtype).state_dict()["state"].values())
        for dtype in (None, "bfloat16", "uint8")
    }
    assert sizes["bfloat16"] * 2 == sizes[None]
    assert sizes["uint8"] * 3.9 < sizes[None]


# ---- everything in one pass is what the steps one by one are ----


def test_the_pass_is_the_sum_of_its_parts():
    params, grads = arrays(500, 30), arrays(500, 30, seed=1)
    expected = [p.copy() for p in params]
    opt = schuss.AdamW(params, lr=0.1, weight_decay=0.1, clip_norm=1.0, grad_scale=2.0, average="ema", zero_grad=True)
    plain = schuss.AdamW(expected, lr=0.1, weight_decay=0.1)
    factor = one_pass.gradient_factor(
        one_pass.gradient_norm(grads) / 2, grad_scale=2.0, clip_norm=1.0, convention="book"
    )
    plain.step([np.float32(factor) * g for g in grads])
    opt.step(grads)
    for p, e, g in zip(params, expected, grads, strict=True):
        np.testing.assert_array_equal(p, e)
        assert not g.any()


# ---- errors ----

OPTION_ERRORS = [
    ({"clip_norm": 0.0}, ValueError, "clip_norm must be in (0, inf], got 0.0"),
    ({"clip_norm": "1"}, TypeError, "clip_norm must be a number in (0, inf], got '1'"),
    ({"clip_norm": NAN}, ValueError, "clip_norm must be in (0, inf], got nan"),
    ({"clip_value": -1.0}, ValueError, "clip_value must be in (0, inf), got -1.0"),
    ({"grad_scale": 0}, ValueError, "grad_scale must be in (0, inf), got 0"),
    ({"grad_scale": None}, TypeError, "grad_scale must be a number in (0, inf), got None"),
    ({"skip_nonfinite": 1}, TypeError, "skip_nonfinite must be True or False, got 1"),
    ({"zero_grad": "yes"}, TypeError, "zero_grad must be True or False, got 'yes'"),
    ({"average": "mean"}, ValueError, "average must be None, 'ema' or 'uniform', got 'mean'"),
    ({"average_decay": 1.5}, ValueError, "average_decay must be in [0, 1), got 1.5"),
    ({"state_dtype": "int4"}, ValueError, "state_dtype must be None, 'float32', 'bfloat16' or 'uint8', got 'int4'"),
    ({"state_dtype": np.float32}, ValueError, "state_dtype must be None, 'float32', 'bfloat16' or 'uint8', got <class"),
    ({"rounding": "up"}, ValueError, "rounding must be 'stochastic' or 'nearest', got 'up'"),
    ({"seed": -1}, ValueError, "seed must be an integer of at least 0"),
    ({"seed": 0.5}, TypeError, "seed must be an integer of at least 0, got 0.5"),
    ({"clipnorm": 1.0}, TypeError, "clipnorm"),
    ({"copies": [np.ones(3)]}, TypeError, "copies[0] has dtype float64, expected bfloat16 or float16"),
    ({"copies": np.ones(3)}, TypeError, "copies is ndarray, expected a list of arrays like params"),
    ({"copies": []}, ValueError, "copies has 0 arrays, expected 1 like params"),
    ({"copies": [np.ones(4, np.float16)]}, ValueError, "copies[0] has shape (4,), expected (3,) like params[0]"),
]


@pytest.mark.parametrize(("options", "exception", "message"), OPTION_ERRORS)
def test_options(options, exception, message):
    with pytest.raises(exception, match=re.escape(message)):
        schuss.Adam([np.ones(3, np.float32)], **options)


STEP_ERRORS = [
    ("grad_scale", -1.0, "grad_scale must be in (0, inf), got -1.0"),
    ("average", "ema", "phase['average'] is 'ema', expected None: the state was made for it at construction"),
    ("state_dtype", "uint8", "phase['state_dtype'] is 'uint8', expected None: the state was made"),
    ("clip", 1.0, "unknown option 'clip'"),
    ("copies", [], "phase['copies'] cannot be set: copies are an argument of the optimizer"),
]


@pytest.mark.parametrize(("name", "value", "message"), STEP_ERRORS)
def test_options_changed_for_the_worse_stop_the_step(name, value, message):
    theta = np.ones(3)
    opt = schuss.Adam([theta])
    opt.phase[name] = value
    with pytest.raises((TypeError, ValueError), match=re.escape(message)):
        opt.step([np.ones(3)])
    np.testing.assert_array_equal(theta, 1)
    assert opt.steps == 0


def test_options_changed_between_steps_count_from_the_next_one():
    theta = np.zeros(1)
    opt = schuss.SGD([theta], lr=1.0)
    opt.step([np.array([4.0])])
    opt.phase["grad_scale"] = 4.0
    opt.step([np.array([4.0])])
    opt.phase["grad_scale"] = 1.0
    opt.phase["clip_value"] = 0.5
    opt.step([np.array([4.0])])
    assert theta[0] == -5.5


READ_ONLY = np.ones(3)
READ_ONLY.flags.writeable = False

GRADIENT_ERRORS = [
    ({"zero_grad": True}, READ_ONLY, ValueError, "grads[0] is read-only, expected a writable array"),
    ({"clip_norm": 1.0}, np.ones(3, np.float32), TypeError, "grads[0] has dtype float32, expected float64"),
    ({"clip_norm": 1.0}, np.ones((3, 1)), ValueError, "grads[0] has shape (3, 1), expected (3,) like params[0]"),
    ({"clip_norm": 1.0}, np.ones(6)[::2], ValueError, "expected a C-contiguous array"),
]


@pytest.mark.parametrize(("options", "g", "exception", "message"), GRADIENT_ERRORS)
def test_gradients_that_do_not_fit(options, g, exception, message):
    theta = np.ones(3)
    opt = schuss.SGD([theta], lr=0.1, **options)
    with pytest.raises(exception, match=re.escape(message)):
        opt.step([g])
    np.testing.assert_array_equal(theta, 1)


def test_copies_must_be_arrays_of_their_own():
    theta = np.ones(4, np.float32)
    with pytest.raises(ValueError, match="overlaps"):
        schuss.SGD([theta], lr=0.1, copies=[theta.view(np.float16)[:4]]).step([np.ones(4, np.float32)])
    np.testing.assert_array_equal(theta, 1)


def test_what_was_saved_with_other_formats_is_refused():
    theta = np.ones(3, np.float32)
    saved = schuss.Adam([theta], state_dtype="uint8").state_dict()
    with pytest.raises(ValueError, match=re.escape("state['phase']['state_dtype'] is 'uint8', expected None")):
        schuss.Adam([theta]).load_state_dict(saved)
    saved = schuss.Adam([theta], average="ema").state_dict()
    with pytest.raises(ValueError, match=re.escape("state['phase']['average'] is 'ema', expected None")):
        schuss.Adam([theta]).load_state_dict(saved)
