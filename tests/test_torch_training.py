"""schuss.torch where trainers use it: schedulers, scaled gradients, several processes."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

torch = pytest.importorskip("torch", reason="torch is not installed: its drop-ins need it")

from torch.optim import lr_scheduler  # noqa: E402

import schuss.torch as drop_ins  # noqa: E402

SCHEDULERS = {
    "StepLR": {"step_size": 2},
    "MultiStepLR": {"milestones": [1, 4]},
    "ExponentialLR": {"gamma": 0.8},
    "LinearLR": {"total_iters": 4},
    "CosineAnnealingLR": {"T_max": 6},
    "CosineAnnealingWarmRestarts": {"T_0": 3},
    "OneCycleLR": {"max_lr": 0.1, "total_steps": 8},  # betas or momentum, too
    "CyclicLR": {"base_lr": 0.01, "max_lr": 0.1, "step_size_up": 2, "cycle_momentum": False},
    "LambdaLR": {"lr_lambda": lambda epoch: 1 / (epoch + 1)},
    "ReduceLROnPlateau": {"patience": 0},
}


def network(seed=0):
    torch.manual_seed(seed)
    return torch.nn.Sequential(torch.nn.Linear(6, 8), torch.nn.ReLU(), torch.nn.Linear(8, 1))


def loss_of(model, number):
    generator = torch.Generator().manual_seed(number)
    x = torch.randn(16, 6, generator=generator)
    return (model(x) - x.sum(1, keepdim=True)).square().mean()


@pytest.mark.parametrize("name", ["AdamW", "SGD"])
@pytest.mark.parametrize("scheduler", SCHEDULERS)
def test_schedulers(scheduler, name):
    models = []
    for module in (drop_ins, torch.optim):
        model = network()
        momentum = {"momentum": 0.9} if name == "SGD" else {}
        optimizer = getattr(module, name)(model.parameters(), lr=0.05, **momentum)
        schedule = getattr(lr_scheduler, scheduler)(optimizer, **SCHEDULERS[scheduler])
        for number in range(8):
            optimizer.zero_grad()
            loss = loss_of(model, number)
            loss.backward()
            optimizer.step()
            if number < 7:
                schedule.step(*([loss.item()] if scheduler == "ReduceLROnPlateau" else []))
        models.append(list(model.parameters()))
    torch.testing.assert_close(*models, rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize("name", drop_ins.__all__)
def test_a_grad_scaler_unscales_and_skips(name):
    models = []
    for module in (drop_ins, torch.optim):
        model = network()
        optimizer = getattr(module, name)(model.parameters(), lr=0.01)
        scaler = torch.amp.GradScaler("cpu", init_scale=1024.0)
        for number in range(4):
            optimizer.zero_grad()
            scaler.scale(loss_of(model, number)).backward()
            if number == 2:
                next(model.parameters()).grad[0, 0] = float("inf")
            scaler.step(optimizer)
            scaler.update()
        assert scaler.get_scale() == 512
        models.append(list(model.parameters()))
    torch.testing.assert_close(*models, rtol=1e-4, atol=1e-5)


def test_two_gloo_processes_train_as_one():
    """DDP, ZeroRedundancyOptimizer, FSDP2 and a distributed checkpoint; see gloo_worker.py."""
    if not torch.distributed.is_available():
        pytest.skip("this torch has no torch.distributed")
    here = Path(__file__).parent
    command = [sys.executable, "-m", "torch.distributed.run", "--standalone", "--nproc-per-node=2"]
    environment = {**os.environ, "OMP_NUM_THREADS": "1", "PYTHONWARNINGS": "ignore"}
    command.append(str(here / "gloo_worker.py"))
    result = subprocess.run(command, env=environment, capture_output=True, text=True, timeout=300)
    assert result.returncode == 0, result.stdout[-3000:] + result.stderr[-3000:]
    for what in ("DDP", "ZeroRedundancyOptimizer", "FSDP2", "checkpoint"):
        assert f"{what} is right" in result.stdout
