"""schuss.torch: what torch.optim's own table of optimizers asks for, on the classes that replace it."""

import copy
import ctypes
import pickle
import threading
import time

import pytest

torch = pytest.importorskip("torch", reason="torch is not installed: its drop-ins need it")
common = pytest.importorskip(
    "torch.testing._internal.common_optimizers", reason="torch's table of optimizers needs expecttest"
)

from torch.optim.optimizer import register_optimizer_step_post_hook  # noqa: E402

import schuss.torch as drop_ins  # noqa: E402

INFOS = {i.optim_cls.__name__: i for i in common.optim_db if i.optim_cls.__name__ in drop_ins.__all__}

SHAPES = [(3, 4), (5,), (), (1,), (0,), (2, 3, 4, 5)]

every_class = pytest.mark.parametrize("name", drop_ins.__all__)


def pair(name, dtype=torch.float32, shapes=SHAPES, **options):
    """Our optimizer and torch's, on equal parameters."""
    generator = torch.Generator().manual_seed(0)
    start = [torch.randn(shape, generator=generator, dtype=dtype) for shape in shapes]
    made = []
    for module, own in ((drop_ins, {}), (torch.optim, {"foreach": False})):
        params = [torch.nn.Parameter(p.clone()) for p in start]
        made.append((params, getattr(module, name)(params, **{**own, **options})))
    return made


def step(made, number, without=()):
    """One step of each, with equal gradients."""
    generator = torch.Generator().manual_seed(number + 1)
    count = len(made[0][0])
    for k in range(count):
        g = torch.randn(made[0][0][k].shape, generator=generator, dtype=made[0][0][k].dtype)
        for params, _ in made:
            params[k].grad = None if k in without else g.clone()
    for _, optimizer in made:
        optimizer.step()


def assert_equal(made):
    (mine, ours), (expected, theirs) = made
    for p, q in zip(mine, expected, strict=True):
        close = {"rtol": 3e-5, "atol": 1e-6} if p.dtype == torch.float32 else {"rtol": 1e-6, "atol": 1e-9}
        torch.testing.assert_close(p, q, **close)
        assert ours.state[p].keys() == theirs.state[q].keys()
        for key, value in theirs.state[q].items():
            if isinstance(value, torch.Tensor):
                torch.testing.assert_close(ours.state[p][key], value, **close)


def by_kernels(optimizer):
    """Whether the kernels cover every group."""
    return optimizer._step_by_kernels() == []


def test_the_table_of_torch_has_every_class():
    assert set(INFOS) == set(drop_ins.__all__)


CASES = [
    pytest.param(name, case.kwargs, id=f"{name}-{k}")
    for name, info in INFOS.items()
    for k, case in enumerate(info.optim_inputs_func("cpu"))
]


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64], ids=str)
@pytest.mark.parametrize(("name", "options"), CASES)
def test_every_sample_of_torch_gives_its_for_loops_results(name, options, dtype):
    made = pair(name, dtype, **{**options, "foreach": False})
    for number in range(6):
        step(made, number, without={1, 5} if number in (0, 3) else ())
    assert_equal(made)


@every_class
def test_the_kernels_take_the_steps(name):
    made = pair(name)
    step(made, 0)
    assert by_kernels(made[0][1])


@every_class
def test_errors_are_torchs(name):
    for error in INFOS[name].optim_error_inputs_func("cpu", torch.float32):
        given, cls = error.optimizer_error_input, getattr(drop_ins, name)
        if error.error_on == common.OptimizerErrorEnum.CONSTRUCTION_ERROR:
            with pytest.raises(error.error_type, match=error.error_regex):
                cls(given.params, **given.kwargs)
        else:
            optimizer = cls(given.params, **given.kwargs)
            with pytest.raises(error.error_type, match=error.error_regex):
                optimizer.step()


@every_class
@pytest.mark.parametrize("first", [0, 1], ids=["from ours", "from torch's"])
def test_state_dicts_are_swapped_with_torch_in_mid_training(name, first):
    made = pair(name, lr=0.01)
    alone = pair(name, lr=0.01)
    for number in range(4):
        step(made, number)
        step(alone, number)
    for number in range(4, 10, 2):
        saved = [copy.deepcopy(optimizer.state_dict()) for _, optimizer in made]
        for (_, optimizer), state in zip(made, saved[::-1], strict=True):
            optimizer.load_state_dict(state)
        for more in range(2):
            step(made, number + more)
            step(alone, number + more)
    torch.testing.assert_close(list(made[first][0]), list(alone[1][0]), rtol=1e-4, atol=1e-5)
    assert by_kernels(made[0][1])


@every_class
def test_a_loaded_state_is_a_copy(name):
    (_, ours), _ = made = pair(name, lr=0.01)
    step(made, 0)
    saved = ours.state_dict()
    before = copy.deepcopy(saved)
    (_, other), _ = second = pair(name, lr=0.01)
    other.load_state_dict(saved)
    step(second, 1)
    torch.testing.assert_close(saved, before, rtol=0, atol=0)


@every_class
def test_copies_and_pickles_go_on_alike(name):
    made = pair(name, lr=0.01)
    step(made, 0)
    params, optimizer = made[0]
    again = copy.deepcopy(optimizer)
    loaded = pickle.loads(pickle.dumps(optimizer))
    for other in (again, loaded):
        step([(other.param_groups[0]["params"], other)], 1)
    step([made[0]], 1)
    for other in (again, loaded):
        for p, q in zip(params, other.param_groups[0]["params"], strict=True):
            torch.testing.assert_close(p, q, rtol=0, atol=0)


@every_class
def test_groups_have_options_of_their_own_and_may_be_added(name):
    made = pair(name, lr=0.01)
    for params, optimizer in made:
        more = torch.nn.Parameter(torch.ones(7))
        params.append(more)
        optimizer.add_param_group({"params": [more], "lr": 0.05, "maximize": True})
    for number in range(4):
        step(made, number)
        for _, optimizer in made:
            optimizer.param_groups[0]["lr"] *= 0.5  # what schedulers do
    assert_equal(made)


class OwnStep(drop_ins.AdamW):
    """A subclass whose own step is wrapped by torch."""

    def step(self, closure=None):
        return super().step(closure)


@pytest.mark.parametrize("cls", [drop_ins.AdamW, OwnStep])
def test_hooks_fire_once_each(cls):
    torch.optim.AdamW([torch.nn.Parameter(torch.ones(2))])  # puts torch's wrapper on torch's class
    seen = []
    p = torch.nn.Parameter(torch.ones(2))
    p.grad = torch.ones(2)
    optimizer = cls([p])
    optimizer.register_step_pre_hook(lambda *_: seen.append("pre"))
    optimizer.register_step_post_hook(lambda *_: seen.append("post"))
    handle = register_optimizer_step_post_hook(lambda *_: seen.append("global"))
    try:
        optimizer.step()
        optimizer.param_groups[0]["amsgrad"] = True  # left to torch
        optimizer.state.clear()
        optimizer.step()
    finally:
        handle.remove()
    assert seen == ["pre", "post", "global"] * 2


def test_a_profiler_sees_the_step():
    p = torch.nn.Parameter(torch.ones(2))
    p.grad = torch.ones(2)
    optimizer = drop_ins.Adam([p])
    with torch.profiler.profile() as profile:
        optimizer.step()
    assert "Optimizer.step#Adam.step" in {event.key for event in profile.key_averages()}


def test_a_closure_computes_gradients_and_its_loss_comes_back():
    p = torch.nn.Parameter(torch.ones(3))
    optimizer = drop_ins.SGD([p], lr=0.25)

    def closure():
        optimizer.zero_grad()
        loss = p.square().sum()
        loss.backward()
        return loss

    with torch.no_grad():
        assert optimizer.step(closure).item() == 3.0
    assert torch.equal(p.detach(), torch.full((3,), 0.5))


def test_versions_are_bumped_so_that_a_stale_graph_is_refused():
    p = torch.nn.Parameter(torch.ones(3))
    optimizer = drop_ins.Adam([p])
    p.grad = torch.ones(3)
    loss = p.square().sum()
    optimizer.step()
    with pytest.raises(RuntimeError, match="modified by an inplace operation"):
        loss.backward()


LEFT_TO_TORCH = {
    "bfloat16": lambda p: p.to(torch.bfloat16),
    "complex": lambda p: p.to(torch.complex64),
    "strided": lambda p: p.repeat_interleave(2, -1)[..., ::2],
    "expanded gradient": lambda p: p,
}


@pytest.mark.parametrize("kind", LEFT_TO_TORCH)
def test_torch_steps_what_the_kernels_do_not_cover(kind):
    made = []
    for module in (drop_ins, torch.optim):
        p = torch.nn.Parameter(LEFT_TO_TORCH[kind](torch.arange(6.0).reshape(2, 3)))
        other = torch.nn.Parameter(torch.ones(4))
        optimizer = module.AdamW([{"params": [p]}, {"params": [other], "lr": 0.5}])
        for _ in range(3):
            p.grad = torch.ones((), dtype=p.dtype).expand(2, 3) if "gradient" in kind else torch.ones_like(p)
            other.grad = torch.ones(4)
            optimizer.step()
        made.append((p, other))
    torch.testing.assert_close(made[0], made[1])


@pytest.mark.parametrize("options", [{"lr": torch.tensor(0.1)}, {"amsgrad": True}, {"fused": True}], ids=str)
def test_torch_takes_options_the_kernels_do_not_have(options):
    made = pair("Adam", shapes=[(5,)], **{**options, "foreach": None})
    for number in range(3):
        step(made, number)
    torch.testing.assert_close(made[0][0][0], made[1][0][0])
    assert not by_kernels(made[0][1])


def test_sparse_gradients_are_torchs():
    tables = []
    for module in (drop_ins, torch.optim):
        table = torch.nn.Embedding(10, 3, sparse=True, _weight=torch.ones(10, 3))
        dense = torch.nn.Parameter(torch.ones(3))
        optimizer = module.SGD([dense, *table.parameters()], lr=0.1)
        (table(torch.tensor([1, 4])) * dense).sum().backward()
        optimizer.step()
        tables.append(torch.vstack([table.weight.detach(), dense.detach()]))
    assert torch.equal(*tables)


def test_channels_last_tensors_are_stepped_by_the_kernels():
    made = pair("AdamW", shapes=[(4, 3, 5, 5)])
    for params, _ in made:
        params[0].data = params[0].data.to(memory_format=torch.channels_last)
    for number in range(3):
        for params, optimizer in made:
            params[0].grad = torch.sin(params[0].detach() + number)
            optimizer.step()
    assert_equal(made)
    assert by_kernels(made[0][1])


def test_memory_that_moves_is_followed():
    p = torch.nn.Parameter(torch.ones(3))
    optimizer = drop_ins.SGD([p], lr=0.5)
    p.grad = torch.ones(3)
    optimizer.step()
    p.data = torch.full((3,), 5.0)
    optimizer.step()
    assert torch.equal(p.detach(), torch.full((3,), 4.5))
    with torch.no_grad():
        p.set_(torch.full((2,), 3.0))
    p.grad = torch.ones(2)
    optimizer.step()
    assert torch.equal(p.detach(), torch.full((2,), 2.5))
    other = torch.nn.Parameter(torch.full((4,), 7.0))
    p.grad, other.grad = None, torch.ones(4)
    torch.utils.swap_tensors(p, other)
    optimizer.step()
    assert torch.equal(p.detach(), torch.full((4,), 6.5))
    module = torch.nn.Linear(2, 2)
    optimizer = drop_ins.Adam(module.parameters(), lr=0.1)
    module.double()
    module(torch.ones(1, 2, dtype=torch.float64)).sum().backward()
    optimizer.step()
    assert by_kernels(optimizer)


def test_state_that_another_thread_drops_lives_until_the_step_is_done():
    for delay in range(6):
        params = [torch.nn.Parameter(torch.ones(1_000_000)) for _ in range(2)]
        optimizer = drop_ins.AdamW(params)
        for p in params:
            p.grad = torch.ones_like(p)
        optimizer.step()
        thread = threading.Thread(target=optimizer.step)
        thread.start()
        time.sleep(1e-4 * delay)
        optimizer.state.clear()
        others = [torch.zeros(1_000_000) for _ in range(4)]
        thread.join()
        assert not any(other.any() for other in others)


def test_parameters_that_share_memory_are_stepped_in_turn_by_torch():
    made = []
    for module in (drop_ins, torch.optim):
        whole = torch.ones(8)
        params = [torch.nn.Parameter(whole[:6]), torch.nn.Parameter(whole[2:])]
        optimizer = module.SGD(params, lr=0.25)
        for p in params:
            p.grad = torch.ones(6)
        optimizer.step()
        made.append(whole)
    assert torch.equal(*made)


@pytest.mark.parametrize("first", [0, 2], ids=["its parameter", "partly in its parameter"])
def test_gradients_in_a_parameter_are_torchs(first):
    made = []
    for module in (drop_ins, torch.optim):
        whole = torch.linspace(1, 2, 8)
        p = torch.nn.Parameter(whole[:6])
        optimizer = module.AdamW([p], lr=0.25, weight_decay=0.5, foreach=False)
        for number in range(4):
            p.grad = torch.ones(6) if number == 1 else whole[first : first + 6]
            optimizer.step()
        made.append(whole)
    torch.testing.assert_close(*made)


@every_class
@pytest.mark.parametrize("missing", [{"DESCRIBE": 0}, {"DESCRIBE": 0, "TABLE": None}], ids=["table", "methods"])
def test_tensors_are_read_by_what_a_version_of_torch_offers(name, missing, monkeypatch):
    for what, value in missing.items():
        monkeypatch.setattr(f"schuss.torch.base.{what}", value)
    made = pair(name)
    for number in range(3):
        step(made, number)
    assert_equal(made)
    assert by_kernels(made[0][1])


directly = pytest.mark.skipif(not drop_ins.base.DESCRIBE, reason="this torch describes no C++ tensor by itself")


def described(answer):
    """A function in the place of torch's own description of a C++ tensor: it lets `answer` change that."""
    signature = ctypes.CFUNCTYPE(None, ctypes.c_void_p, ctypes.POINTER(ctypes.c_void_p))
    torchs = signature(drop_ins.base.DESCRIBE)

    @signature
    def describe(tensor, out):
        torchs(tensor, out)
        answer(out)

    return describe, ctypes.cast(describe, ctypes.c_void_p).value


@directly
def test_tensors_are_described_directly_where_both_ways_agree(monkeypatch):
    calls = []
    kept, address = described(lambda out: calls.append(out))
    monkeypatch.setattr("schuss.torch.base.DESCRIBE", address)
    made = pair("AdamW")
    for number in range(3):
        step(made, number)
    assert_equal(made)
    assert len(calls) > 2 * len(SHAPES)
    del kept


@directly
def test_tensors_are_described_by_the_table_where_the_ways_differ(monkeypatch):
    calls = []

    def elsewhere(out):
        calls.append(out)
        out[0] = None  # the first member is the address of the data

    kept, address = described(elsewhere)
    monkeypatch.setattr("schuss.torch.base.DESCRIBE", address)
    made = pair("AdamW")
    for number in range(3):
        step(made, number)
    assert_equal(made)
    assert by_kernels(made[0][1])
    assert 0 < len(calls) <= len(drop_ins.base.PLAIN)  # once for each type
    del kept
