"""The benchmark suite, which `schuss bench` and `python bench/run.py` run.

A benchmark is declared: a `cases.Recipe` (a rule with its options, its class here and in torch), run on workloads (one
array of 10³ … 5·10⁷ elements, or a list of arrays) by contestants side by side: `opt.step` of this package, the
no-arithmetic ceiling, NumPy in two forms, torch in up to three. Contestants are verified against the reference, then
timed in turn, round after round. To benchmark a new rule, add a recipe to `cases.RECIPES` and its best NumPy form to
`inplace`; until then the suite refuses to run.

cases        what is measured: recipes and workloads
contestants  who takes part
inplace      NumPy's best form of every rule
verify       that they all do the same work
measure      the clock
results      what was measured, as numbers and as JSON
targets      what the measurements must show
report       tables
drop_ins     the suite of the drop-ins for torch
phase        the suite of all that is around a step; phase_cases has its configurations
batch_norm   the suite of batch normalization: its cases, contestants and targets
minimizers   the suite of the minimisers
coordinate   the suite of coordinate descent
compare      two runs side by side
suite        a run
arguments    the command line
"""

from schuss.benchmark.arguments import main

__all__ = ["main"]
