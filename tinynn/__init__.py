"""tinynn: machine learning from scratch in NumPy, for molecular simulation and chemistry."""

__version__ = "0.1.0"
