"""Networks in torch: its eager loop, and the same steps recorded once as a CUDA graph."""

from __future__ import annotations

import os
from collections.abc import Callable, Sequence
from itertools import pairwise
from typing import Any

import numpy as np

from benchmarks.harness import Contestant
from benchmarks.networks import Exercise, Inference, Network, Training


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
    (X,) = (torch.from_numpy(a).to(device) for a in problem.data())

    def run() -> Sequence[float]:
        with torch.inference_mode():
            for _ in range(problem.calls):
                Y = model(X)
        return Y.ravel()[:5].tolist()

    return run


def exercise(problem: Exercise, backend: str) -> Contestant:
    """The whole exercise in torch, one eager training after the other."""
    import torch

    device = device_of(backend)
    R_train, R_test = (torch.from_numpy(R).to(device) for R in problem.molecules())
    cos, sin = np.cos(problem.angle), np.sin(problem.angle)
    rotation = torch.tensor([[cos, -sin], [sin, cos]], device=device)
    i, j = torch.triu_indices(4, 4, offset=1)

    def distances(R: Any) -> Any:
        return (R[:, i] - R[:, j]).norm(dim=2)

    def energies(R: Any) -> Any:
        return (1 / distances(R)).sum(dim=1, keepdim=True).float()

    def moved(R: Any) -> dict[str, Any]:
        return {"original": R, "rotated": R @ rotation.T, "permuted": R[:, problem.permutation]}

    features: dict[str, Callable] = {"positions": lambda R: R.flatten(1), "distances": distances}

    def run() -> Sequence[float]:
        histories, errors = [], []
        for feature, parts in problem.cases:
            R = torch.cat([moved(R_train)[part] for part in parts])
            X, y = features[feature](R).float(), energies(R)
            case = problem.training(X.shape[1], len(X))
            model = network(case, device)
            optimizer = torch.optim.Adam(model.parameters())
            epochs = tensors(case.batches(), device)
            histories.append(train(model, X, y, epochs, optimizer, torch.nn.MSELoss()))
            with torch.inference_mode():
                for Q in moved(R_test).values():
                    prediction = model(features[feature](Q).float())
                    errors.append(torch.nn.functional.mse_loss(prediction, energies(Q)).item())
        return problem.summary(histories, errors)

    return run
