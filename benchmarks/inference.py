"""Predictions of a network, for one sample and for many."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import pairwise

from benchmarks.harness import OURS, PRODUCTS, Contestant, Target, Workload
from benchmarks.networks import Inference
from benchmarks.peers import in_jax, in_sklearn, in_thinc, in_torch
from tinynn.backend import asarray, get_backend, to_numpy


def tinynn_inference(problem: Inference, backend: str) -> Contestant:
    """`Sequential.predict`, its checks of the input included."""
    model = problem.model(backend)
    (X,) = (asarray(a, backend) for a in problem.data())

    def run() -> Sequence[float]:
        for _ in range(problem.calls):
            Y = model.predict(X)
        return to_numpy(Y).ravel()[:5].tolist()

    return run


def inference_products(problem: Inference, backend: str) -> Contestant:
    """The matrix products of as many calls, into arrays made beforehand, and nothing else."""
    xp = get_backend(backend)
    W = [xp.asarray(W) for W, _ in problem.weights()]
    A = [xp.asarray(X) for X in problem.data()]
    A += [xp.empty((problem.samples, n_out), A[0].dtype) for _, n_out in pairwise(problem.widths)]

    def run() -> Sequence[float]:
        for _ in range(problem.calls):
            for l in range(len(W)):
                xp.dot(A[l], W[l].T, out=A[l + 1])
        float(A[-1][0, 0])  # a device answers when it has finished
        return []

    return run


CONTESTANTS = {
    OURS: tinynn_inference,
    "torch": in_torch.inference,
    "thinc": in_thinc.inference,
    "sklearn": in_sklearn.inference,
    "jax": in_jax.inference,
    PRODUCTS: inference_products,
}


INFERENCES = {
    "inference": Workload(
        what="a prediction of 8-32-64-64-32-1 with ReLU, float32",
        problems=[
            Inference(widths=(8, 32, 64, 64, 32, 1), samples=samples, calls=calls)
            for samples, calls in ((1, 1000), (16, 1000), (256, 200), (4096, 20))
        ],
        unit="call",
        units=lambda problem: problem.calls,
        size="samples",
        contestants=CONTESTANTS,
        targets=[Target("torch", 0.3, size=1)],
    )
}
