"""The command line: ``python -m benchmarks [NAME ...]``."""

from __future__ import annotations

import argparse
import json
from collections.abc import Sequence
from pathlib import Path

from benchmarks.harness import LIMITS, OURS, describe, measure
from benchmarks.workloads import WORKLOADS
from tinynn.backend import BACKENDS


def main(arguments: Sequence[str] | None = None) -> None:
    peers = sorted({name for w in WORKLOADS.values() for name in w.contestants} - {OURS, *LIMITS})
    parser = argparse.ArgumentParser(prog="python -m benchmarks", description="tinynn beside its peers.")
    parser.add_argument(
        "names", nargs="*", metavar="NAME", help="workloads (default: all that need little time and room)"
    )
    parser.add_argument("--list", action="store_true", help="say which workloads there are")
    parser.add_argument("--backend", choices=BACKENDS, default="numpy")
    parser.add_argument("--peers", nargs="*", choices=peers, default=peers)
    parser.add_argument("--out", type=Path, metavar="DIR", help="write the records there, one JSON file each")
    options = parser.parse_args(arguments)

    unknown = [name for name in options.names if name not in WORKLOADS]
    if unknown:
        parser.error(f"there is no workload {', '.join(unknown)}; there are {', '.join(WORKLOADS)}")
    if options.list:
        for name, workload in WORKLOADS.items():
            print(f"{name:<20} {workload.what}" + " (only if named)" * workload.on_request)
        return
    for name in options.names or [name for name, w in WORKLOADS.items() if not w.on_request]:
        record = measure(WORKLOADS[name], options.peers, options.backend)
        print(f"{name}: {describe(record)}")
        if options.out is not None:
            options.out.mkdir(parents=True, exist_ok=True)
            (options.out / f"{name}.json").write_text(json.dumps(record, indent=2) + "\n")


if __name__ == "__main__":
    main()
