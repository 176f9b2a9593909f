import sys

import matplotlib
import numpy as np
import pytest

from tinynn.plotting import get_pyplot, plot_losses

matplotlib.use("Agg")


def test_one_line_a_name_with_axes_title_and_legend():
    losses = {"train": [4.0, 2.0, 1.0], "test": [5.0, 3.0]}
    ax = plot_losses(losses, title="Energies", unit="kcal²/mol²")
    assert (ax.get_xlabel(), ax.get_ylabel(), ax.get_title()) == ("epoch", "loss (kcal²/mol²)", "Energies")
    assert (ax.get_xscale(), ax.get_yscale()) == ("linear", "log")
    assert [text.get_text() for text in ax.get_legend().get_texts()] == ["train", "test"]
    for line, (name, values) in zip(ax.get_lines(), losses.items(), strict=True):
        assert line.get_label() == name
        np.testing.assert_array_equal(line.get_xdata(), np.arange(1, len(values) + 1))
        np.testing.assert_array_equal(line.get_ydata(), values)


def test_without_a_unit_and_without_empty_lines():
    ax = plot_losses({"train": [1.0], "validation": []})
    assert ax.get_ylabel() == "loss"
    assert [line.get_label() for line in ax.get_lines()] == ["train"]


def test_draws_on_the_axes_it_is_given():
    _, axes = get_pyplot().subplots(1, 2)
    assert plot_losses({"a": [1.0]}, ax=axes[1]) is axes[1]
    assert not axes[0].get_lines()


def test_the_figure_can_be_drawn(tmp_path):
    """With losses of zero and infinity too, which a logarithmic axis cannot show."""
    ax = plot_losses({"train": [1.0, 0.0, np.inf, 0.5]})
    ax.figure.savefig(tmp_path / "figure.png")
    assert (tmp_path / "figure.png").stat().st_size > 1000


def test_without_matplotlib_the_extra_is_named(monkeypatch):
    monkeypatch.setitem(sys.modules, "matplotlib.pyplot", None)
    with pytest.raises(ImportError, match=r"figures need matplotlib: pip install \"tinynn\[lessons\]\""):
        get_pyplot()
    monkeypatch.undo()
