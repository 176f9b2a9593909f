"""Figures that lessons and histories share: every axis has its name and unit, every line its legend."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any


def get_pyplot() -> Any:
    """matplotlib.pyplot.

    Raises
    ------
    ImportError
        Without matplotlib; names the extra that brings it.
    """
    try:
        import matplotlib.pyplot as plt
    except ImportError as error:
        raise ImportError('figures need matplotlib: pip install "tinynn[lessons]"') from error
    return plt


def plot_losses(
    losses: Mapping[str, Sequence[float]], ax: Any = None, title: str = "Loss by epoch", unit: str = ""
) -> Any:
    """Losses by epoch on a logarithmic axis, one line a name; empty ones are left out.

    Parameters
    ----------
    losses : {name: one loss an epoch}
    ax : matplotlib Axes, optional
        Drawn on; otherwise a figure is made.
    title, unit : str
        The unit of the loss is added to the axis label.

    Returns
    -------
    matplotlib Axes
    """
    if ax is None:
        _, ax = get_pyplot().subplots()
    for name, values in losses.items():
        if values:
            ax.plot(range(1, len(values) + 1), values, label=name, linewidth=1)
    ax.set(xlabel="epoch", ylabel=f"loss ({unit})" if unit else "loss", yscale="log", title=title)
    ax.legend()
    return ax
