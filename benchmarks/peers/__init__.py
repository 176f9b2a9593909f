"""Networks in other libraries: one module a peer, which nothing imports before it is asked to compete.

Each takes part with the fastest form of the same arithmetic that a careful user of it would write. What can
be made ready beforehand is not timed: arrays, weights and the rows of the batches.
"""
