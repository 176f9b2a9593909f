"""What a record says: in words, as rows of a table, and as a plot against size."""

from __future__ import annotations

import textwrap
from collections.abc import Iterable, Mapping
from typing import Any

from benchmarks.harness import LIMITS, OURS

Record = Mapping[str, Any]

LABELS = {"width": "width (neurons in a hidden layer)", "depth": "depth (hidden layers)"}


def describe(record: Record) -> str:
    """The record in words, a line for every time and every ratio."""
    lines = [record["what"], f"  {surroundings([record])}"]
    for entry in record["sizes"]:
        if entry["size"] is not None:
            lines.append(f"  {size_of(record, entry)}")
        for name, seconds in entry["seconds"].items():
            low, median, high = (duration(seconds[q]) for q in ("low", "median", "high"))
            lines.append(f"    {name:<26} {median:>8} / {record['unit']}   ({low} to {high})")
        for name, ratio in entry["ratios"].items():
            low, median, high = (f"{ratio[q]:.3g}" for q in ("low", "median", "high"))
            line = f"    {OURS + ' / ' + name:<26} {median:>8}   ({low} to {high})"
            lines.append(line + verdict(entry, name))
    lines += [
        f'  {peer} left out: {why}; pip install "tinynn[bench]"' for peer, why in record["missing"].items()
    ]
    return "\n".join(lines)


def table(records: Mapping[str, Record]) -> str:
    """The records, by name of the workload, as a table in Markdown with a few lines below it."""
    lines = [
        "| workload | size | tinynn | its time over that of | its time over the limit |",
        "| --- | --- | --- | --- | --- |",
    ]
    for name, record in records.items():
        for entry in shown(record):
            time = f"{duration(entry['seconds'][OURS]['median'])} / {record['unit']}"
            peers = ratios(entry, (n for n in entry["ratios"] if n not in LIMITS))
            limits = ratios(entry, (n for n in entry["ratios"] if n in LIMITS))
            lines.append(f"| {name} | {size_of(record, entry)} | {time} | {peers} | {limits} |")
    counts = {len(entry["seconds"][OURS]["rounds"]) for r in records.values() for entry in r["sizes"]}
    rounds = " or ".join(map(str, sorted(counts)))
    missing = sorted({peer for record in records.values() for peer in record["missing"]})
    lines += [
        "",
        f"Medians of {rounds} rounds in which all take turns. Of several sizes, the table has the smallest, "
        "the largest and those with a target; the records have all.",
        *(f"Left out, because it is not installed: {peer}." for peer in missing),
        "",
        f"{surroundings(records.values())}.",
    ]
    return "\n".join(lines)


def plot(record: Record) -> Any:
    """Figure of time against size, both on logarithmic axes: contestants as lines, limits as dashes.

    Raises
    ------
    ImportError
        Without Matplotlib; names the extra that brings it.
    """
    figure = figure_class()(figsize=(8, 5), layout="constrained")
    axes = figure.subplots()
    sizes = [entry["size"] for entry in record["sizes"]]
    for name in record["sizes"][0]["seconds"]:
        low, median, high = (
            [entry["seconds"][name][q] for entry in record["sizes"]] for q in ("low", "median", "high")
        )
        (line,) = axes.plot(sizes, median, label=name, **style(name))
        axes.fill_between(sizes, low, high, color=line.get_color(), alpha=0.2, linewidth=0)
    last = record["sizes"][-1]
    peers = [f"{r['median']:.2g} × {name}" for name, r in last["ratios"].items() if name not in LIMITS]
    time = ", ".join(peers) or duration(last["seconds"][OURS]["median"])
    what = f"{record['what'][0].upper()}{record['what'][1:]}"
    says = textwrap.fill(f"Time of {OURS} at {size_of(record, last)}: {time}", 85)
    axes.set_title(f"{what}\n{says}", fontsize="medium")
    axes.set(
        xscale="log",
        yscale="log",
        xlabel=LABELS.get(record["size"], words(record["size"])),
        ylabel=f"time per {record['unit']} (s)",
    )
    axes.set_xticks(sizes, [str(size) for size in sizes])
    axes.minorticks_off()
    axes.grid(alpha=0.3)
    axes.legend(title="median; band: quartiles")
    return figure


def style(name: str) -> dict[str, Any]:
    """Ours in bold, peers with marks, limits in grey, each with dashes of its own."""
    if name in LIMITS:
        return {"color": "0.5", "linestyle": ("--", ":", "-.", (0, (1, 4)))[LIMITS.index(name)]}
    return {"marker": "o"} | ({"color": "black", "linewidth": 2.5} if name == OURS else {})


def figure_class() -> Any:
    """Matplotlib's Figure, which needs no window.

    Raises
    ------
    ImportError
        Without Matplotlib; names the extra that brings it.
    """
    try:
        from matplotlib.figure import Figure
    except ImportError as error:
        raise ImportError('plots need Matplotlib: pip install "tinynn[bench]"') from error
    return Figure


def shown(record: Record) -> list[Mapping[str, Any]]:
    """The smallest size, the largest, and those with a target."""
    sizes = record["sizes"]
    return [entry for entry in sizes if entry in (sizes[0], sizes[-1]) or entry["targets"]]


def ratios(entry: Mapping[str, Any], names: Iterable[str]) -> str:
    """The median ratios to these contestants, the targets beside them."""
    return ", ".join(f"{name} {entry['ratios'][name]['median']:.3g}{verdict(entry, name)}" for name in names)


def verdict(entry: Mapping[str, Any], name: str) -> str:
    """Whether the target is met, if there is one for this contestant at this size."""
    if name not in entry["targets"]:
        return ""
    target = entry["targets"][name]
    return f" (target {target:.3g}: {'met' if entry['ratios'][name]['median'] <= target else 'missed'})"


def surroundings(records: Iterable[Record]) -> str:
    """Where, when and with what the records were made; what differs between them stands side by side."""
    machines = [record["machine"] for record in records]

    def all_of(values: Iterable[str]) -> str:
        return ", ".join(dict.fromkeys(values))

    facts = [
        all_of(f"{about['processor']} with {about['cores']} cores" for about in machines),
        all_of(about["device"] for about in machines if "device" in about),
        "threads: "
        + (all_of(f"{k} {n}" for about in machines for k, n in about["threads"].items()) or "unknown"),
        all_of(sorted(about["date"][:10] for about in machines)),
        all_of(f"{k} {v}" for about in machines for k, v in about["versions"].items()),
    ]
    return "; ".join(fact for fact in facts if fact)


def size_of(record: Record, entry: Mapping[str, Any]) -> str:
    """The size with its name: samples = 3000."""
    return "" if entry["size"] is None else f"{words(record['size'])} = {entry['size']}"


def words(attribute: str) -> str:
    """batch_size is written as two words."""
    return attribute.replace("_", " ")


def duration(seconds: float) -> str:
    """Three digits and the unit that suits them."""
    scale, unit = next(((s, u) for s, u in ((1, "s"), (1e-3, "ms")) if seconds >= s), (1e-6, "µs"))
    number = seconds / scale
    return f"{number:.{2 if number < 10 else 1 if number < 100 else 0}f} {unit}"
