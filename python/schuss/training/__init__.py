"""A small trainer for multi-layer perceptrons, on schuss's public API alone; behind the command `schuss train`.

Read `trainer` first: its loop is stochastic gradient descent as in *Deep Learning*, algorithm 8.1, with the early
stopping of algorithm 7.1. `layers`, `network` and `loss` are what it trains, `data` what it trains on, `recipes` what
it trains with. `run` puts them together, keeps checkpoints, and leaves the report.
"""
