"""Schedules: exact values, what they come to, and that optimizers follow them."""

import copy
import math
import pickle
import re

import numpy as np
import pytest

import schuss
from schuss import schedules

NAN, INF = math.nan, math.inf

VALUES = [  # schedule, and its values by step
    (schedules.constant(0.1), {0: 0.1, 10**9: 0.1}),
    (schedules.linear_decay(1.0, 4), {0: 1.0, 1: 0.7525, 2: 0.505, 4: 0.01, 5: 0.01, 10**12: 0.01}),
    (schedules.linear_decay(1.0, 4, 0.5), {0: 1.0, 1: 0.875, 3: 0.625, 4: 0.5, 100: 0.5}),
    (schedules.linear_decay(1.0, 1, 0), {0: 1.0, 1: 0.0, 2: 0.0}),
    (schedules.linear_ramp(0.5, 4, 0.75), {0: 0.5, 2: 0.625, 4: 0.75, 9: 0.75}),
    (schedules.inverse_time(1.0), {0: 1.0, 1: 0.5, 3: 0.25, 7: 0.125}),
    (schedules.inverse_time(1.0, tau=10), {0: 1.0, 10: 0.5, 30: 0.25}),
    (schedules.inverse_time(1.0, power=0.5), {0: 1.0, 3: 0.5, 15: 0.25}),
    (schedules.inverse_time(1.0, tau=1e-300, power=400), {0: 1.0, 1: 0.0}),
    (schedules.step(1.0, 3, factor=0.5), {0: 1.0, 2: 1.0, 3: 0.5, 5: 0.5, 6: 0.25, 10**9: 0.0}),
    (schedules.exponential(2.0, 0.5), {0: 2.0, 1: 1.0, 4: 0.125}),
    (schedules.cosine(1.0, 4), {0: 1.0, 1: (2 + math.sqrt(2)) / 4, 2: 0.5, 4: 0.0, 5: 0.0}),
    (schedules.cosine(1.0, 2, 0.5), {0: 1.0, 1: 0.75, 2: 0.5, 3: 0.5}),
    (schedules.warmup(1.0, 3), {0: 0.25, 1: 0.5, 2: 0.75, 3: 1.0, 4: 1.0}),
    (schedules.warmup(schedules.exponential(1.0, 0.5), 1), {0: 0.5, 1: 1.0, 2: 0.5, 3: 0.25}),
    (schedules.chain([0.5], []), {0: 0.5, 9: 0.5}),
    (schedules.chain([0.5, schedules.exponential(1.0, 0.5), 0.25], [2, 4]), {1: 0.5, 2: 1.0, 3: 0.5, 4: 0.25, 9: 0.25}),
    (schedules.momentum_ramp(), {0: 0.5, 249: 0.5, 250: 0.75, 500: 5 / 6, 10**6: 0.99}),
    (schedules.momentum_ramp(0.9, every=1), {0: 0.5, 1: 0.75, 3: 0.875, 4: 0.9}),
    (schedules.momentum_ramp(0.0), {0: 0.0, 10**6: 0.0}),
]

SCHEDULES = [schedule for schedule, _ in VALUES]


@pytest.mark.parametrize(("schedule", "values"), VALUES, ids=[str(schedule) for schedule in SCHEDULES])
def test_values(schedule, values):
    for step, value in values.items():
        found = schedule(step)
        assert type(found) is float
        assert found == pytest.approx(value, rel=1e-14, abs=1e-17)
        assert schedule(np.int64(step)) == found


def test_momentum_ramps_as_sutskever_et_al_write_it():
    ramp = schedules.momentum_ramp(0.995, every=250)
    for t in range(0, 60_000, 97):
        assert ramp(t) == pytest.approx(min(1 - 2 ** (-1 - math.log2(t // 250 + 1)), 0.995), rel=1e-14)


@pytest.mark.parametrize("schedule", SCHEDULES, ids=str)
def test_schedules_are_values(schedule):
    for twin in (pickle.loads(pickle.dumps(schedule)), copy.deepcopy(schedule)):
        assert twin == schedule
        assert hash(twin) == hash(schedule)
        assert repr(twin) == repr(schedule)
    assert sum(schedule == other for other in SCHEDULES) == 1
    with pytest.raises(AttributeError):
        schedule.eps = 3


@pytest.mark.parametrize("schedule", SCHEDULES, ids=str)
@pytest.mark.parametrize(
    ("step", "exception", "message"),
    [
        (-1, ValueError, "step must be an integer of at least 0, got -1"),
        (1.0, TypeError, "step must be an integer of at least 0, got 1.0"),
        (NAN, TypeError, "step must be an integer of at least 0, got nan"),
        (True, TypeError, "step must be an integer of at least 0, got True"),
        ("1", TypeError, "step must be an integer of at least 0, got '1'"),
        (None, TypeError, "step must be an integer of at least 0, got None"),
    ],
)
def test_steps_that_are_none(schedule, step, exception, message):
    with pytest.raises(exception, match=re.escape(message)):
        schedule(step)


ERRORS = [
    (lambda: schedules.constant(-1), ValueError, "eps must be in [0, inf), got -1"),
    (lambda: schedules.constant("x"), TypeError, "eps must be a number in [0, inf), got 'x'"),
    (lambda: schedules.linear_decay(NAN, 3), ValueError, "eps0 must be in [0, inf), got nan"),
    (lambda: schedules.linear_decay(1.0, 0), ValueError, "tau must be an integer of at least 1, got 0"),
    (lambda: schedules.linear_decay(1.0, 2.5), TypeError, "tau must be an integer of at least 1, got 2.5"),
    (lambda: schedules.linear_decay(1.0, 3, 2.0), ValueError, "eps_tau must be at most eps0=1.0, got 2.0"),
    (lambda: schedules.linear_decay(1.0, 3, -0.1), ValueError, "eps_tau must be in [0, inf), got -0.1"),
    (lambda: schedules.linear_ramp(0.9, 3, 0.5), ValueError, "end must be at least start=0.9, got 0.5"),
    (lambda: schedules.linear_ramp(0.9, 3, 1.0), ValueError, "end must be in [0, 1), got 1.0"),
    (lambda: schedules.inverse_time(1.0, 0), ValueError, "tau must be in (0, inf), got 0"),
    (lambda: schedules.inverse_time(1.0, 1, 0), ValueError, "power must be in (0, inf), got 0"),
    (lambda: schedules.step(1.0, 0), ValueError, "every must be an integer of at least 1, got 0"),
    (lambda: schedules.step(1.0, 3, 0), ValueError, "factor must be in (0, 1], got 0"),
    (lambda: schedules.exponential(1.0, 1.1), ValueError, "factor must be in (0, 1], got 1.1"),
    (lambda: schedules.cosine(1.0, -3), ValueError, "tau must be an integer of at least 1, got -3"),
    (lambda: schedules.cosine(1.0, 3, 1.5), ValueError, "eps_tau must be at most eps0=1.0, got 1.5"),
    (lambda: schedules.warmup(-1.0, 3), ValueError, "schedule must be in [0, inf), got -1.0"),
    (lambda: schedules.warmup(1.0, 0), ValueError, "steps must be an integer of at least 1, got 0"),
    (lambda: schedules.warmup("x", 3), TypeError, "schedule must be a number in [0, inf), got 'x'"),
    (lambda: schedules.chain([], []), ValueError, "milestones has 0 entries for 0 schedules, expected one fewer"),
    (lambda: schedules.chain([1.0, 2.0], []), ValueError, "milestones has 0 entries for 2 schedules"),
    (lambda: schedules.chain([1.0, 2.0], [0]), ValueError, "milestones[0] must be an integer of at least 1, got 0"),
    (lambda: schedules.chain([1, 2, 3], [5, 5]), ValueError, "milestones[1] must be an integer of at least 6, got 5"),
    (lambda: schedules.chain(1.0, []), TypeError, "schedules must be a list, got 1.0"),
    (lambda: schedules.chain([None], []), TypeError, "schedules[0] must be a number in [0, inf), got None"),
    (lambda: schedules.momentum_ramp(1.0), ValueError, "maximum must be in [0, 1), got 1.0"),
    (lambda: schedules.momentum_ramp(0.9, 0), ValueError, "every must be an integer of at least 1, got 0"),
    (
        lambda: schedules.robbins_monro(lambda t: 1 / (t + 1)),
        TypeError,
        "whose form is unknown, expected one of",
    ),
    (lambda: schedules.robbins_monro(0.1), TypeError, "schedule is 0.1, whose form is unknown"),
    (lambda: schedules.robbins_monro(schedules.warmup(abs, 3)), TypeError, "whose form is unknown"),
]


@pytest.mark.parametrize(("call", "exception", "message"), ERRORS, ids=[message for _, _, message in ERRORS])
def test_wrong_arguments(call, exception, message):
    with pytest.raises(exception, match=re.escape(message)):
        call()


# ---- Robbins and Monro ----

CONDITIONS = [  # schedule, whether Σε = ∞, whether Σε² < ∞
    (schedules.constant(0.1), True, False),
    (schedules.constant(0.0), False, True),
    (schedules.linear_decay(0.1, 100), True, False),
    (schedules.linear_decay(0.1, 100, 0.0), False, True),
    (schedules.inverse_time(0.1), True, True),
    (schedules.inverse_time(0.0), False, True),
    (schedules.inverse_time(1e-200, tau=1e-200), True, True),
    (schedules.inverse_time(0.1, power=0.3), True, False),
    (schedules.inverse_time(0.1, power=0.5), True, False),
    (schedules.inverse_time(0.1, power=0.51), True, True),
    (schedules.inverse_time(0.1, power=1.01), False, True),
    (schedules.step(0.1, 10), False, True),
    (schedules.step(0.1, 10, factor=1), True, False),
    (schedules.exponential(0.1, 0.9), False, True),
    (schedules.cosine(0.1, 10), False, True),
    (schedules.cosine(0.1, 10, 0.01), True, False),
    (schedules.momentum_ramp(), True, False),
    (schedules.warmup(schedules.inverse_time(0.1), 10), True, True),
    (schedules.chain([0.1, schedules.inverse_time(0.1, 20, 0.75)], [10]), True, True),
    (schedules.chain([schedules.inverse_time(0.1), 0.1], [10]), True, False),
]


@pytest.mark.parametrize(("schedule", "diverges", "converge"), CONDITIONS, ids=[str(s) for s, _, _ in CONDITIONS])
def test_the_conditions_of_robbins_and_monro(schedule, diverges, converge):
    found = schedules.robbins_monro(schedule)
    assert (found.sum_diverges, found.squares_converge) == (diverges, converge)
    assert bool(found) is (diverges and converge)
    assert str(found.tail) in found.reason


@pytest.mark.parametrize(("schedule", "diverges", "converge"), CONDITIONS, ids=[str(s) for s, _, _ in CONDITIONS])
def test_the_tail_is_what_the_schedule_comes_to(schedule, diverges, converge):
    tail, far = schedules.robbins_monro(schedule).tail, 10**9
    if tail.scale == 0 or tail.power == INF:
        assert schedule(far) == 0
    else:
        assert schedule(far) == pytest.approx(tail.scale * (far / tail.unit) ** -tail.power, rel=1e-6)


# ---- in optimizers ----


@pytest.mark.parametrize("cls", [schuss.SGD, schuss.Adam, schuss.AdaGrad, schuss.RMSProp, schuss.AdaDelta])
def test_an_optimizer_follows_the_schedule_of_its_rate(cls):
    theta, expected = np.array([1.0, -2.0]), np.array([1.0, -2.0])
    lr = schedules.warmup(schedules.cosine(0.1, 6), 3)
    scheduled, by_hand = cls([theta], lr=lr), cls([expected], lr=0.0)
    for step in range(12):
        by_hand.groups[0]["lr"] = lr(step)
        by_hand.step([expected.copy()])
        scheduled.step([theta.copy()])
        np.testing.assert_array_equal(theta, expected)


@pytest.mark.parametrize("cls", [schuss.Momentum, schuss.Nesterov, schuss.RMSProp])
def test_an_optimizer_follows_the_schedule_of_its_momentum(cls):
    ramp = schedules.momentum_ramp(0.9, every=2)
    theta, expected = np.array([1.0, -2.0]), np.array([1.0, -2.0])
    scheduled = cls([theta], lr=0.01, momentum=ramp)
    written = cls([expected], lr=0.01, momentum=lambda k: min(1 - 0.5 / (k // 2 + 1), 0.9))
    constant = [np.array([1.0, -2.0])]
    other = cls(constant, lr=0.01, momentum=0.5)
    for _ in range(12):
        scheduled.step([theta.copy()])
        written.step([expected.copy()])
        other.step([constant[0].copy()])
        np.testing.assert_array_equal(theta, expected)
    assert (theta != constant[0]).all()
