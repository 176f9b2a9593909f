"""tinynn side by side with its peers: ``python -m benchmarks``.

The same work, the same numbers to start from, one after the other on the same machine. What counts is
the ratio of the times: it depends far less on the machine, and on what else it does, than the times do.
"""
