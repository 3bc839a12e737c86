"""What is wrong on one rank is raised on all ranks, and nothing has been modified: the last rank always errs."""

import sys

import harness
import numpy as np
from harness import comm, raises

import schuss
from schuss.distributed import ZeroOptimizer
from test_optimizers import STATE_ERRORS, parameters

LAST = comm.size - 1
ODD = comm.rank == LAST


def on_all(text):
    """The message as it is on the rank that errs, and as the others have it."""
    return text if ODD else f"on rank {LAST}: {text}"


GRAD_ERRORS = [
    (lambda g: {**g, "w": g["w"].T}, ValueError, "grads['w'] has shape (5, 7), expected (7, 5) like params['w']"),
    (
        lambda g: {**g, "b": g["b"].astype(np.float64)},
        TypeError,
        "grads['b'] has dtype float64, expected float32 or bfloat16 or float16 like params['b']",
    ),
    (
        lambda g: {**g, "b": [1.0]},
        TypeError,
        "grads['b'] is list, expected a NumPy array or another array with __dlpack__",
    ),
    (lambda g: {"w": g["w"]}, ValueError, "grads lacks the key 'b', expected the keys of params: ['w', 'b']"),
    (lambda g: [g["w"], g["b"]], TypeError, "grads is list, expected a dict of arrays like params"),
]


def assert_unchanged(zero, params, before, state):
    assert all(np.array_equal(params[name], before[name]) for name in params)
    after = zero.state_dict()
    assert zero.steps == after["steps"] == state["steps"]
    assert all(np.array_equal(after["state"][name], array) for name, array in state["state"].items())


def check_a_wrong_gradient_on_one_rank():
    params = parameters()
    zero = ZeroOptimizer(schuss.Adam(params), comm)
    zero.step(parameters())
    before, state = {name: p.copy() for name, p in params.items()}, zero.state_dict()
    for make, kind, message in GRAD_ERRORS:
        grads = make(parameters()) if ODD else parameters()
        assert raises(kind, lambda grads=grads: zero.step(grads)) == on_all(message)
        assert_unchanged(zero, params, before, state)
    zero.step(parameters())  # and goes on


def check_gradients_that_cannot_be_used_or_set_to_zero():
    params = parameters()
    zero = ZeroOptimizer(schuss.Adam(params, zero_grad=True), comm)
    before, state = {name: p.copy() for name, p in params.items()}, zero.state_dict()
    frozen = parameters()
    frozen["w"].flags.writeable = False
    for wrong, message in [
        (frozen, "grads['w'] is read-only, expected a writable array"),
        ({**parameters(), "w": params["w"]}, "overlaps"),
        ({**parameters(), "w": np.ones((7, 10), np.float32)[:, ::2]}, "grads['w'] is not contiguous"),
    ]:
        assert message in raises(ValueError, lambda wrong=wrong: zero.step(wrong if ODD else parameters()))
        assert_unchanged(zero, params, before, state)


def check_options_that_are_not_alike_or_cannot_be_changed():
    params = parameters()
    zero = ZeroOptimizer(schuss.Adam(params), comm)
    before, state = {name: p.copy() for name, p in params.items()}, zero.state_dict()
    for name, value, message in [
        ("average", "ema", "phase['average'] is 'ema', expected None: the state was made for it at construction"),
        ("clip_norm", -1.0, "clip_norm must be in (0, inf], got -1.0"),
    ]:
        zero.phase[name] = value if ODD else None
        assert raises(ValueError, lambda: zero.step(parameters())) == on_all(message)
        zero.phase[name] = None
    if comm.size > 1:
        for change in (lambda odd: zero.phase.update(clip_norm=1.0 + odd), lambda odd: zero.groups[0].update(lr=odd)):
            change(float(ODD))
            assert "are not alike on all ranks" in raises(ValueError, lambda: zero.step(parameters()))
            change(1.0)
    assert_unchanged(zero, params, before, state)


def check_an_average_that_is_not_there_or_is_in_use():
    opt = schuss.Adam(parameters(), average="ema")
    with opt.averaged_params():
        message = "opt is within averaged_params(), expected it to be left first"
        assert raises(ValueError, lambda: ZeroOptimizer(opt, comm)).endswith(message)
    zero = ZeroOptimizer(opt, comm)
    assert "taken over" in raises(ValueError, opt.average)
    with zero.averaged_params():
        assert "hold the average" in raises(ValueError, lambda: zero.step(parameters()))
    plain = ZeroOptimizer(schuss.Adam(parameters()), comm)
    assert "average is None" in raises(ValueError, plain.average)


def check_a_schedule_or_a_hyperparameter_that_is_wrong_on_one_rank():
    params = parameters()
    zero = ZeroOptimizer(schuss.Adam(params, lr=lambda t: -1.0 if ODD and t == 1 else 0.1), comm)
    zero.step(parameters())
    before, state = {name: p.copy() for name, p in params.items()}, zero.state_dict()
    assert raises(ValueError, lambda: zero.step(parameters())) == on_all("lr must be in [0, inf), got -1.0")
    assert_unchanged(zero, params, before, state)

    def fails(t):
        raise KeyError("rate")

    zero.groups[0]["lr"] = fails if ODD else 0.1
    kind = KeyError if ODD else RuntimeError
    assert raises(kind, lambda: zero.step(parameters())).endswith("'rate'")
    assert_unchanged(zero, params, before, state)


def check_a_parameter_put_in_the_place_of_another():
    params = parameters()
    zero = ZeroOptimizer(schuss.Adam(params), comm)
    if ODD:
        params["w"] = params["w"].copy()
    assert "params['w'] is not what it was at construction" in raises(ValueError, lambda: zero.step(parameters()))


def check_a_wrong_state_on_one_rank():
    params = parameters()
    zero = ZeroOptimizer(schuss.Adam(params), comm)
    zero.step(parameters())
    before, state = {name: p.copy() for name, p in params.items()}, zero.state_dict()
    for _, make, kind, message in STATE_ERRORS:
        wrong = make(state) if ODD else state
        assert raises(kind, lambda wrong=wrong: zero.load_state_dict(wrong)).startswith(on_all(message))
        assert_unchanged(zero, params, before, state)


ARGUMENT_ERRORS = [
    ({"reduction": "max"}, ValueError, "reduction must be 'sum' or 'mean', got 'max'"),
    ({"bucket": 0}, ValueError, "bucket must be an integer of at least 1 and less than 2**31, got 0"),
]


def check_wrong_arguments_on_one_rank():
    for options, kind, message in ARGUMENT_ERRORS:
        chosen = options if ODD else {}
        opt = schuss.Adam(parameters())
        assert raises(kind, lambda opt=opt, chosen=chosen: ZeroOptimizer(opt, comm, **chosen)) == on_all(message)
        opt.step(parameters())  # has not been taken over
    wrong = parameters() if ODD else schuss.Adam(parameters())
    assert raises(TypeError, lambda: ZeroOptimizer(wrong, comm)) == on_all(
        "opt is dict, expected an optimizer of schuss"
    )


def check_ranks_that_are_not_alike():
    if comm.size == 1:
        return
    odd = 1.0 if ODD else 0.0
    for opt, name in [
        (schuss.Adam({"w": np.full(3, odd)}), "params['w']"),
        (schuss.Adam([np.zeros(3 + int(odd))]), "params[0]"),
        (schuss.Adam([np.zeros(3)], lr=0.1 + odd), "groups[0]['lr']"),
        (schuss.Adam([np.zeros(3)], clip_norm=1.0 + odd), "phase['clip_norm']"),
        (schuss.AdaDelta([np.zeros(3)]) if ODD else schuss.Adam([np.zeros(3)]), "opt"),
    ]:
        message = raises(ValueError, lambda opt=opt: ZeroOptimizer(opt, comm))
        assert message == f"{name} is not alike on ranks 0 and {LAST}, expected the same on every rank"


def check_communicators():
    from mpi4py import MPI

    opt = schuss.Adam([np.ones(1)])
    for comm_like in (None, "world", object(), MPI):
        message = raises(TypeError, lambda comm_like=comm_like: ZeroOptimizer(opt, comm_like))
        assert "expected a communicator of mpi4py" in message
    nobody = MPI.Intracomm(MPI.COMM_NULL)
    assert raises(ValueError, lambda: ZeroOptimizer(opt, nobody)).startswith("comm is MPI.COMM_NULL")


if __name__ == "__main__":
    harness.run(sys.modules["__main__"].__dict__)
