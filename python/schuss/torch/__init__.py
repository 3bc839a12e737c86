"""Drop-ins for the optimizers of `torch.optim`, stepped by fused kernels: change an import, keep everything else.

Example:
    >>> import torch
    >>> from schuss.torch import AdamW  # was: from torch.optim import AdamW
    >>> model = torch.nn.Linear(4, 2)
    >>> opt = AdamW(model.parameters(), lr=1e-3)
    >>> model(torch.ones(8, 4)).square().mean().backward()
    >>> opt.step()
    >>> isinstance(opt, torch.optim.AdamW)
    True
"""

from schuss.torch.optimizers import ASGD, SGD, Adadelta, Adagrad, Adam, Adamax, AdamW, NAdam, RAdam, RMSprop, Rprop

__all__ = ["ASGD", "SGD", "Adadelta", "Adagrad", "Adam", "AdamW", "Adamax", "NAdam", "RAdam", "RMSprop", "Rprop"]
