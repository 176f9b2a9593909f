"""Networks in torch: its eager loop, and the same steps recorded once as a CUDA graph."""

from __future__ import annotations

import os
from collections.abc import Callable, Sequence
from itertools import pairwise
from typing import Any

import numpy as np

from benchmarks.harness import Contestant
from benchmarks.networks import Inference, Network, Training


def device_of(backend: str) -> str:
    """Where torch computes, and there with TF32 only if CuPy does so too."""
    import torch

    torch.backends.cuda.matmul.allow_tf32 = os.environ.get("CUPY_TF32") == "1"
    return "cuda" if backend == "cupy" else "cpu"


def network(problem: Network, device: str) -> Any:
    """The same layers with the same weights."""
    import torch

    layers: list[Any] = []
    for n_in, n_out in pairwise(problem.widths):
        layers += [torch.nn.Linear(n_in, n_out), torch.nn.ReLU()]
    model = torch.nn.Sequential(*layers[:-1])
    model.load_state_dict({name: torch.tensor(w) for name, w in problem.model().state_dict().items()})
    return model.to(device)


def tensors(batches: Sequence[Sequence[np.ndarray]], device: str) -> list[list[Any]]:
    """Rows of every batch of every epoch, on the device."""
    import torch

    return [[torch.from_numpy(rows).to(device) for rows in epoch] for epoch in batches]


def train(
    model: Any, X: Any, y: Any, epochs: Sequence[Sequence[Any]], optimizer: Any, criterion: Callable
) -> list[float]:
    """The loop of torch's tutorials; a GPU is waited for only once an epoch, for the losses."""
    import torch

    history = []
    for batches in epochs:
        losses = []
        for rows in batches:
            optimizer.zero_grad()
            loss = criterion(model(X[rows]), y[rows])
            loss.backward()
            optimizer.step()
            losses.append(loss.detach())
        sizes = [len(rows) for rows in batches]
        history.append(float(np.average(torch.stack(losses).tolist(), weights=sizes)))
    return history


def training(problem: Training, backend: str) -> Contestant:
    """The eager loop with Adam as it comes."""
    import torch

    device = device_of(backend)
    model = network(problem, device)
    optimizer = torch.optim.Adam(model.parameters(), lr=problem.lr, eps=problem.eps)
    criterion = torch.nn.CrossEntropyLoss() if problem.classes else torch.nn.MSELoss()
    X, y = (torch.from_numpy(a).to(device) for a in problem.data())
    epochs = tensors(problem.batches(), device)
    return lambda: train(model, X, y, epochs, optimizer, criterion)


def graph_training(problem: Training, backend: str) -> Contestant:
    """One launch a step: batch, forward, backward and Adam are recorded as a CUDA graph, then replayed.

    Raises
    ------
    ImportError
        On another backend than "cupy".
    ValueError
        If the batches have different sizes, for each would need a graph of its own.
    """
    import torch

    if backend != "cupy":
        raise ImportError("CUDA graphs need --backend cupy")
    if problem.samples % problem.batch_size:
        raise ValueError(
            f"samples is {problem.samples}, no multiple of the batch size {problem.batch_size}; "
            "wanted batches of one size"
        )
    device = device_of(backend)
    model = network(problem, device)
    optimizer = torch.optim.Adam(model.parameters(), lr=problem.lr, eps=problem.eps, capturable=True)
    criterion = torch.nn.CrossEntropyLoss() if problem.classes else torch.nn.MSELoss()
    X, y = (torch.from_numpy(a).to(device) for a in problem.data())
    epochs = tensors(problem.batches(), device)
    rows = epochs[0][0].clone()  # a graph reads and writes the same memory whenever it runs
    total = torch.zeros((), device=device)

    def step() -> None:
        optimizer.zero_grad()
        loss = criterion(model(X[rows]), y[rows])
        loss.backward()
        optimizer.step()
        total.add_(loss.detach())

    # torch asks for a few steps on another stream before it records
    initial = [w.detach().clone() for w in model.parameters()]
    stream = torch.cuda.Stream()
    stream.wait_stream(torch.cuda.current_stream())
    with torch.cuda.stream(stream):
        for _ in range(3):
            step()
    torch.cuda.current_stream().wait_stream(stream)
    graph = torch.cuda.CUDAGraph()
    with torch.cuda.graph(graph):
        step()

    # back to the start, in place; the recording itself computed nothing
    with torch.no_grad():
        for weights, start in zip(model.parameters(), initial, strict=True):
            weights.copy_(start)
    for state in optimizer.state.values():
        for value in state.values():
            value.zero_()
    total.zero_()

    def run() -> Sequence[float]:
        losses = []
        for batches in epochs:
            for batch in batches:
                rows.copy_(batch)
                graph.replay()
            losses.append(total.item() / len(batches))
            total.zero_()
        return losses

    return run


def inference(problem: Inference, backend: str) -> Contestant:
    """The network called in torch's inference mode."""
    import torch

    device = device_of(backend)
    model = network(problem, device)
    X = torch.from_numpy(problem.data()).to(device)

    def run() -> Sequence[float]:
        with torch.inference_mode():
            for _ in range(problem.calls):
                Y = model(X)
        return Y.ravel()[:5].tolist()

    return run
