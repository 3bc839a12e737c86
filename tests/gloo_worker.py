"""One of the processes of test_torch_training: trains in three distributed ways and compares with a single process."""

import os
import tempfile

import torch
import torch.distributed as dist
from torch.distributed import checkpoint
from torch.distributed.checkpoint.state_dict import get_optimizer_state_dict, set_optimizer_state_dict
from torch.distributed.fsdp import fully_shard
from torch.distributed.optim import ZeroRedundancyOptimizer
from torch.nn.parallel import DistributedDataParallel

import schuss.torch as drop_ins

STEPS = 5


def network():
    torch.manual_seed(0)
    return torch.nn.Sequential(torch.nn.Linear(6, 8), torch.nn.ReLU(), torch.nn.Linear(8, 3))


def loss_of(model, number, rank, ranks):
    """The mean over a rank's share of a batch of 16."""
    x = torch.randn(16, 6, generator=torch.Generator().manual_seed(number))
    return model(x[rank * 16 // ranks : (rank + 1) * 16 // ranks]).square().mean()


def train(model, optimizer, rank, ranks, numbers=range(STEPS)):
    for number in numbers:
        optimizer.zero_grad()
        loss_of(model, number, rank, ranks).backward()
        optimizer.step()


def whole(p):
    return p.full_tensor() if hasattr(p, "full_tensor") else p


def check(what, model, expected):
    mine = [whole(p).detach() for p in model.parameters()]
    torch.testing.assert_close(mine, [p.detach() for p in expected.parameters()], rtol=1e-4, atol=1e-6)
    if dist.get_rank() == 0:
        print(what, "is right", flush=True)


def main():
    dist.init_process_group("gloo")
    rank, ranks = dist.get_rank(), dist.get_world_size()
    expected = network()
    train(expected, torch.optim.AdamW(expected.parameters(), lr=0.01), 0, 1)

    model = DistributedDataParallel(network())
    optimizer = drop_ins.AdamW(model.parameters(), lr=0.01)
    train(model, optimizer, rank, ranks)
    check("DDP", model, expected)

    model = DistributedDataParallel(network())
    sharded = ZeroRedundancyOptimizer(model.parameters(), optimizer_class=drop_ins.AdamW, lr=0.01)
    train(model, sharded, rank, ranks)
    assert isinstance(sharded.optim, drop_ins.AdamW)
    check("ZeroRedundancyOptimizer", model, expected)

    model = network()
    fully_shard(model)
    optimizer = drop_ins.AdamW(model.parameters(), lr=0.01)
    train(model, optimizer, rank, ranks)
    check("FSDP2", model, expected)

    model = network()
    fully_shard(model)
    optimizer = drop_ins.AdamW(model.parameters(), lr=0.01)
    train(model, optimizer, rank, ranks, range(3))
    folder = [tempfile.mkdtemp() if rank == 0 else None]
    dist.broadcast_object_list(folder)
    checkpoint.save({"optimizer": get_optimizer_state_dict(model, optimizer)}, checkpoint_id=folder[0])
    optimizer.zero_grad()  # a state to load into is made only where there are no gradients
    fresh = drop_ins.AdamW(model.parameters(), lr=0.5)
    state = {"optimizer": get_optimizer_state_dict(model, fresh)}
    checkpoint.load(state, checkpoint_id=folder[0])
    set_optimizer_state_dict(model, fresh, state["optimizer"])
    train(model, fresh, rank, ranks, range(3, STEPS))
    check("checkpoint", model, expected)
    assert not fresh._step_by_kernels(), "the kernels step what a DTensor holds here"
    dist.barrier()
    # Not by the interpreter's end: there torch's own threads have been seen to abort a process that was right.
    os._exit(0)


main()
