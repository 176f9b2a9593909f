"""The command line: ``python -m benchmarks [NAME ...]``."""

from __future__ import annotations

import argparse
import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from benchmarks.harness import PEERS, measure
from benchmarks.report import describe, figure_class, plot, table
from benchmarks.workloads import WORKLOADS
from tinynn.backend import BACKENDS


def main(arguments: Sequence[str] | None = None) -> None:
    parser = argparse.ArgumentParser(prog="python -m benchmarks", description="tinynn beside its peers.")
    parser.add_argument(
        "names", nargs="*", metavar="NAME", help="workloads (default: all that need little time and room)"
    )
    parser.add_argument("--list", action="store_true", help="say which workloads there are")
    parser.add_argument("--backend", choices=BACKENDS, default="numpy")
    parser.add_argument(
        "--peers",
        type=peers,
        default=list(PEERS),
        metavar="PEER,...",
        help=f"some of {','.join(PEERS)} (default: all that are installed), or none",
    )
    parser.add_argument("--rounds", type=rounds, metavar="N", help="default: 9, fewer for what takes minutes")
    parser.add_argument(
        "--out", type=Path, metavar="DIR", help="write a record (JSON) of each there, and plots against size"
    )
    parser.add_argument(
        "--table",
        type=Path,
        metavar="DIR",
        help="measure nothing; print the records in DIR as a table (Markdown)",
    )
    options = parser.parse_args(arguments)

    unknown = [name for name in options.names if name not in WORKLOADS]
    if unknown:
        parser.error(f"there is no workload {', '.join(unknown)}; there are {', '.join(WORKLOADS)}")
    if options.list:
        for name, workload in WORKLOADS.items():
            print(f"{name:<20} {workload.what}" + " (only if named)" * workload.on_request)
        return
    if options.table is not None:
        try:
            print(table(read_records(options.table)))
        except ValueError as error:
            parser.error(str(error))
        return
    if options.out is not None:
        figure_class()  # if Matplotlib is missing, say so before anything takes time
        options.out.mkdir(parents=True, exist_ok=True)
    for name in options.names or [name for name, w in WORKLOADS.items() if not w.on_request]:
        record = measure(WORKLOADS[name], options.peers, options.backend, options.rounds)
        print(f"{name}: {describe(record)}", flush=True)
        if options.out is not None:
            (options.out / f"{name}.json").write_text(json.dumps(record, indent=1) + "\n")
            if len(record["sizes"]) > 1:
                plot(record).savefig(options.out / f"{name}.png", dpi=120)


def read_records(folder: Path) -> dict[str, Any]:
    """The records in a folder by name, in the order of WORKLOADS.

    Raises
    ------
    ValueError
        If there is none, or one of a workload that does not exist.
    """
    paths = {path.stem: path for path in folder.glob("*.json")}
    if not paths:
        raise ValueError(f"there are no records (*.json) in {folder}")
    if unknown := sorted(paths.keys() - WORKLOADS.keys()):
        raise ValueError(f"{folder} has records of workloads that do not exist: {', '.join(unknown)}")
    return {name: json.loads(paths[name].read_text()) for name in WORKLOADS if name in paths}


def peers(text: str) -> list[str]:
    """The peers in a list with commas."""
    names = [] if text in ("", "none") else text.split(",")
    unknown = [name for name in names if name not in PEERS]
    if unknown:
        raise argparse.ArgumentTypeError(
            f"there is no peer {', '.join(map(repr, unknown))}; write some of {','.join(PEERS)}, or none"
        )
    return names


def rounds(text: str) -> int:
    """A positive number."""
    if not text.isdecimal() or int(text) < 1:
        raise argparse.ArgumentTypeError(f"wanted a positive integer, got {text!r}")
    return int(text)


if __name__ == "__main__":
    main()
