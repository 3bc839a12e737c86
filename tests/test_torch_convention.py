"""convention="torch" does what torch.optim does, from torch's defaults on, and works on torch tensors in place."""

import inspect

import numpy as np
import pytest

import schuss

torch = pytest.importorskip("torch", reason="torch is not installed: its convention is tested against it where it is")

CASES = [
    (schuss.SGD, {"lr": 0.1}, "SGD", {"lr": 0.1}),
    (schuss.SGD, {"lr": 0.1, "momentum": 0.9}, "SGD", {"lr": 0.1, "momentum": 0.9}),
    (
        schuss.SGD,
        {"lr": 0.1, "momentum": 0.9, "dampening": 0.3},
        "SGD",
        {"lr": 0.1, "momentum": 0.9, "dampening": 0.3},
    ),
    (
        schuss.SGD,
        {"lr": 0.1, "momentum": 0.9, "nesterov": True},
        "SGD",
        {"lr": 0.1, "momentum": 0.9, "nesterov": True},
    ),
    (schuss.AdaGrad, {}, "Adagrad", {}),
    (schuss.AdaGrad, {"lr": 0.1, "lr_decay": 0.2}, "Adagrad", {"lr": 0.1, "lr_decay": 0.2}),
    (schuss.RMSProp, {}, "RMSprop", {}),
    (
        schuss.RMSProp,
        {"rho": 0.9, "momentum": 0.5, "centered": True},
        "RMSprop",
        {"alpha": 0.9, "momentum": 0.5, "centered": True},
    ),
    (schuss.AdaDelta, {}, "Adadelta", {}),
    (schuss.AdaDelta, {"lr": 0.3, "rho": 0.8}, "Adadelta", {"lr": 0.3, "rho": 0.8}),
    (schuss.Adam, {}, "Adam", {}),
    (schuss.Adam, {"lr": 0.1, "betas": (0.4, 0.9)}, "Adam", {"lr": 0.1, "betas": (0.4, 0.9)}),
    (schuss.AdamW, {}, "AdamW", {}),
    (schuss.AdamW, {"lr": 0.1, "weight_decay": 0.2}, "AdamW", {"lr": 0.1, "weight_decay": 0.2}),
    (schuss.NAdam, {}, "NAdam", {}),
    (schuss.NAdam, {"betas": (0.4, 0.9), "momentum_decay": 0.5}, "NAdam", {"betas": (0.4, 0.9), "momentum_decay": 0.5}),
    (schuss.RAdam, {}, "RAdam", {}),
    (schuss.RAdam, {"lr": 0.1, "betas": (0.4, 0.9)}, "RAdam", {"lr": 0.1, "betas": (0.4, 0.9)}),
    (schuss.Adamax, {}, "Adamax", {}),
    (schuss.Adamax, {"lr": 0.1, "betas": (0.4, 0.9)}, "Adamax", {"lr": 0.1, "betas": (0.4, 0.9)}),
    (schuss.Rprop, {}, "Rprop", {}),
    (
        schuss.Rprop,
        {"etas": (0.1, 2.0), "step_sizes": (5e-3, 0.03)},
        "Rprop",
        {"etas": (0.1, 2.0), "step_sizes": (5e-3, 0.03)},
    ),
    (schuss.ASGD, {}, "ASGD", {}),
    (schuss.ASGD, {"lr": 0.1, "lambd": 0.1, "t0": 3.0}, "ASGD", {"lr": 0.1, "lambd": 0.1, "t0": 3.0}),
]


@pytest.fixture
def scalars_in():
    """Sets the dtype in which torch keeps what depends on the step alone, such as a schedule."""
    yield torch.set_default_dtype
    torch.set_default_dtype(torch.float32)


@pytest.mark.parametrize("common", [{}, {"weight_decay": 0.1}, {"maximize": True}], ids=["plain", "decay", "maximize"])
@pytest.mark.parametrize(("cls", "ours", "peer", "theirs"), CASES)
def test_ten_steps_equal_torch(cls, ours, peer, theirs, common, scalars_in):
    if not set(common) <= set(inspect.signature(getattr(torch.optim, peer)).parameters):
        pytest.skip(f"torch's {peer} has no {', '.join(common)}")
    generator = torch.Generator().manual_seed(0)
    for dtype, tolerance in ((torch.float64, 1e-12), (torch.float32, 2e-5)):
        scalars_in(dtype)
        start = torch.randn(257, generator=generator, dtype=dtype)
        parameter = torch.nn.Parameter(start.clone())
        mine = start.numpy().copy()
        optimizer = cls([mine], convention="torch", **{**ours, **common})
        expected = getattr(torch.optim, peer)([parameter], foreach=False, **{**theirs, **common})
        for _ in range(10):
            parameter.grad = torch.randn(257, generator=generator, dtype=dtype)
            optimizer.step([parameter.grad.numpy()])
            expected.step()
        moved = np.abs(mine - start.numpy()).max()
        np.testing.assert_allclose(mine, parameter.detach().numpy(), rtol=tolerance, atol=tolerance * moved)


@pytest.mark.parametrize(("cls", "ours", "peer", "theirs"), CASES)
def test_a_nan_goes_where_it_goes_in_torch(cls, ours, peer, theirs):
    mine = np.linspace(-1, 1, 40)
    parameter = torch.nn.Parameter(torch.from_numpy(mine.copy()))
    optimizer = cls([mine], convention="torch", **ours)
    expected = getattr(torch.optim, peer)([parameter], foreach=False, **theirs)
    for k in range(4):
        gradient = np.cos(np.arange(40.0) + k)
        gradient[k] = np.nan
        optimizer.step([gradient])
        parameter.grad = torch.from_numpy(gradient)
        expected.step()
    np.testing.assert_allclose(mine, parameter.detach(), rtol=1e-6)


def test_the_average_of_asgd_is_torchs():
    start = torch.randn(100, generator=torch.Generator().manual_seed(0), dtype=torch.float64)
    parameter, mine = torch.nn.Parameter(start.clone()), start.numpy().copy()
    optimizer = schuss.ASGD([mine], convention="torch", t0=3.0)
    expected = torch.optim.ASGD([parameter], t0=3.0)
    for step in range(10):
        parameter.grad = parameter.detach() + step
        optimizer.step([parameter.grad.numpy()])
        expected.step()
    np.testing.assert_allclose(optimizer.state["theta_bar"][0], expected.state[parameter]["ax"].numpy(), rtol=1e-6)


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64], ids=str)
def test_torch_tensors_are_updated_in_place(dtype):
    weight = torch.nn.Parameter(torch.ones(3, 4, dtype=dtype))
    optimizer = schuss.SGD({"weight": weight}, lr=0.5)
    (weight.sum() * 2).backward()
    optimizer.step({"weight": weight.grad})
    assert torch.equal(weight.detach(), torch.zeros(3, 4, dtype=dtype))
    assert isinstance(optimizer.theta()["weight"], np.ndarray)


def test_a_replaced_tensor_memory_is_followed():
    weight = torch.nn.Parameter(torch.ones(5))
    optimizer = schuss.SGD([weight], lr=0.5)
    weight.data = torch.full((5,), 3.0)
    optimizer.step([torch.ones(5)])
    assert torch.equal(weight.detach(), torch.full((5,), 2.5))


@pytest.mark.parametrize(
    ("tensor", "exception", "message"),
    [
        (torch.ones(4, 3).T, ValueError, r"params\[0\] has shape \(3, 4\) and strides .*, expected a C-contiguous"),
        (
            torch.ones(3, dtype=torch.int64),
            TypeError,
            r"params\[0\] has dtype torch.int64, expected float32, float64, bfloat16 or float16",
        ),
        (torch.ones(3, dtype=torch.complex64), TypeError, r"params\[0\] has dtype torch.complex64, expected float32"),
        (torch.ones(3).to_sparse(), ValueError, r"params\[0\] \(Tensor\) does not give access to its memory"),
        (torch._neg_view(torch.ones(3)), ValueError, r"params\[0\] \(Tensor\) does not give access to its memory"),
        (torch.ones(3, device="meta"), ValueError, r"params\[0\] \(Tensor\) does not give access to its memory"),
    ],
)
def test_unsuitable_tensors_are_refused(tensor, exception, message):
    with pytest.raises(exception, match=message):
        schuss.SGD([tensor], lr=0.1)
