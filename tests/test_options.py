"""Hyperparameters out of range, of the wrong type, or that do not go together."""

import math
import re

import numpy as np
import pytest

import schuss

NAN = math.nan

OPTION_CASES = [
    (schuss.SGD, {"lr": NAN}, ValueError, "lr must be in [0, inf), got nan"),
    (schuss.SGD, {"lr": -0.1}, ValueError, "lr must be in [0, inf), got -0.1"),
    (schuss.SGD, {"lr": math.inf}, ValueError, "lr must be in [0, inf), got inf"),
    (schuss.SGD, {"lr": "0.1"}, TypeError, "lr must be a number in [0, inf), got '0.1'"),
    (schuss.SGD, {"lr": 10**400}, ValueError, "lr must be in [0, inf), got 1000"),
    (schuss.SGD, {"lr": 1 + 2j}, TypeError, "lr must be a number in [0, inf), got (1+2j)"),
    (schuss.SGD, {"lr": True}, TypeError, "lr must be a number in [0, inf), got True"),
    (schuss.SGD, {"lr": None}, TypeError, "lr must be a number in [0, inf), got None"),
    (schuss.SGD, {"lr": np.ones(2)}, TypeError, "lr must be a number in [0, inf)"),
    (schuss.SGD, {"lr": 0.1, "momentum": 1.0}, ValueError, "momentum must be in [0, 1), got 1.0"),
    (
        schuss.SGD,
        {"lr": 0.1, "nesterov": True},
        ValueError,
        "nesterov=True needs a momentum in (0, 1), got momentum=0.0",
    ),
    (schuss.SGD, {"lr": 0.1, "nesterov": 1, "momentum": 0.9}, TypeError, "nesterov must be True or False, got 1"),
    (
        schuss.SGD,
        {"lr": 0.1, "momentum": 0.9, "dampening": 0.5},
        ValueError,
        "dampening=0.5 belongs to convention='torch'",
    ),
    (
        schuss.SGD,
        {"lr": 0.1, "momentum": 0.9, "dampening": 0.5, "nesterov": True, "convention": "torch"},
        ValueError,
        "nesterov=True goes with dampening=0 only, got dampening=0.5",
    ),
    (schuss.SGD, {"lr": 0.1, "weight_decay": -1.0}, ValueError, "weight_decay must be in [0, inf), got -1.0"),
    (schuss.SGD, {"lr": 0.1, "convention": "keras"}, ValueError, "convention must be 'book' or 'torch', got 'keras'"),
    (
        schuss.SGD,
        {"lr": 0.1, "num_threads": 0},
        ValueError,
        "num_threads must be an integer of at least 1 and",
    ),
    (schuss.SGD, {"lr": 0.1, "num_threads": 1.5}, TypeError, "num_threads must be an integer of at least 1, got 1.5"),
    (schuss.AdaGrad, {"eps": -1e-8}, ValueError, "eps must be in [0, inf), got -1e-08"),
    (schuss.AdaGrad, {"lr_decay": 0.1}, ValueError, "lr_decay=0.1 belongs to convention='torch'"),
    (schuss.RMSProp, {"rho": 1.0}, ValueError, "rho must be in [0, 1), got 1.0"),
    (schuss.RMSProp, {"centered": "yes"}, TypeError, "centered must be True or False, got 'yes'"),
    (
        schuss.RMSProp,
        {"nesterov": True, "momentum": 0.9, "convention": "torch"},
        ValueError,
        "nesterov=True is not in torch's RMSprop",
    ),
    (schuss.AdaDelta, {"rho": -0.5}, ValueError, "rho must be in [0, 1), got -0.5"),
    (schuss.Adam, {"betas": (0.9, 1.0)}, ValueError, "betas[1] must be in [0, 1), got 1.0"),
    (schuss.Adam, {"betas": 0.9}, TypeError, "betas must be a pair of numbers, got 0.9"),
    (schuss.Adam, {"betas": (0.9, "x")}, TypeError, "betas[1] must be a number in [0, 1), got 'x'"),
    (schuss.Adam, {"maximize": 0}, TypeError, "maximize must be True or False, got 0"),
    (schuss.Adam, {"eps": lambda t: 1e-8}, TypeError, "eps must be a number"),
    (schuss.NAdam, {"momentum_decay": -1}, ValueError, "momentum_decay must be in [0, inf), got -1"),
    (schuss.Rprop, {"etas": (0.5, 0.9)}, ValueError, "etas[1] must be in [1, inf), got 0.9"),
    (schuss.Rprop, {"etas": 0.5}, TypeError, "etas must be a pair of numbers, got 0.5"),
    (schuss.Rprop, {"step_sizes": (2, 1)}, ValueError, "step_sizes must be the least and the largest one, got (2.0, "),
    (schuss.Rprop, {"lr": lambda t: 0.1}, TypeError, "lr must be a number"),
    (schuss.ASGD, {"alpha": 1.5}, ValueError, "alpha must be in [0, 1], got 1.5"),
    (schuss.ASGD, {"lambd": 1e-4}, ValueError, "lambd=0.0001 belongs to convention='torch'"),
    (
        schuss.DeltaBarDelta,
        {"lr": lambda t: 0.1, "kappa": 0.1, "phi": 0.1, "gamma": 0.1},
        TypeError,
        "lr must be a number",
    ),
    (schuss.DeltaBarDelta, {"lr": 0.1, "kappa": -1, "phi": 0.1, "gamma": 0.1}, ValueError, "kappa must be in [0, inf)"),
    (schuss.DeltaBarDelta, {"lr": 0.1, "kappa": 1, "phi": 1.1, "gamma": 0.1}, ValueError, "phi must be in [0, 1]"),
    (
        schuss.DeltaBarDelta,
        {"lr": 0.1, "kappa": 1, "phi": 0.1, "gamma": 0.1, "convention": "torch"},
        ValueError,
        "convention='torch' has no delta-bar-delta",
    ),
]


@pytest.mark.parametrize(("cls", "options", "exception", "message"), OPTION_CASES)
def test_options(cls, options, exception, message):
    with pytest.raises(exception, match=re.escape(message)):
        cls([np.ones(3)], **options)
