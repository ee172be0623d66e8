#!/usr/bin/env python
"""Run the published protocols of a method, and put ours beside the published scores.

    python tools/reproduce.py --list
    python tools/reproduce.py sclip --list
    python tools/reproduce.py sclip_vit-b16 voc-21 ade20k-150
    torchrun --nproc_per_node 4 tools/reproduce.py trident --launcher pytorch

METHOD is a model of the zoo or a method, which stands for all its models; without BENCHMARKS all
are run that its configs know. The same command goes on where an earlier one was interrupted, and
does not run again what is finished under the same settings, with the same data and weights; that
stays in the tables too. A benchmark whose data or weights are missing is told with what to do about
it, and the others are run.

Writes DIR/METHOD.json and DIR/METHOD.md, and for each benchmark the record of its run. Exit code 0:
all were scored; 1: some were not; 2: the call was wrong.
"""

from __future__ import annotations

import argparse
import os
import sys

from mmengine.dist import is_main_process

from ovseg.apis.published import published_for
from ovseg.apis.reproduction import known_benchmarks, plan, reproduce
from ovseg.apis.running import add_run_arguments, report_errors
from ovseg.apis.zoo import list_models


def parse_args(argv: list[str] | None = None) -> argparse.Namespace:
    """Arguments of the command line."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("method", nargs="?", metavar="METHOD", help="model of the zoo, or method")
    parser.add_argument(
        "benchmarks", nargs="*", metavar="BENCHMARK", help=", ".join(known_benchmarks())
    )
    parser.add_argument("--list", action="store_true", help="say what is known, and run nothing")
    parser.add_argument("--checkpoint", metavar="FILE", help="trained weights, if there are any")
    parser.add_argument(
        "--out", default="work_dirs/reproduce", metavar="DIR", help="default: %(default)s"
    )
    parser.add_argument("--fresh", action="store_true", help="run again what is finished")
    add_run_arguments(parser)
    arguments = parser.parse_args(argv)
    if not arguments.method and not arguments.list:
        parser.error("name a method or a model, or ask for --list")
    return arguments


def show_list(arguments: argparse.Namespace) -> None:
    """Print what there is, with the published figure that ours would be compared with."""
    names = [arguments.method] if arguments.method else [info.name for info in list_models()]
    for name in names:
        for comparison in plan(name, arguments.benchmarks):
            rows = published_for(comparison.method, comparison.model, comparison.benchmark)
            told = "nothing published"
            if rows:
                scores = rows[0].scores[comparison.benchmark]
                told = ", ".join(f"{metric} {value:g}" for metric, value in scores.items())
                told += f" ({rows[0].by}: {rows[0].source})"
            print(f"{comparison.model:28} {comparison.benchmark:20} {told}")
    if not arguments.method:
        print(f"Benchmarks: {', '.join(known_benchmarks())}")


def tell(entry: dict) -> None:
    """One line about a benchmark that is through."""
    where = f"{entry['model']} on {entry['benchmark']}"
    if entry["problem"]:
        print(f"{where}: not scored. {entry['problem']}", flush=True)
        return
    against = entry["published"][0]["scores"] if entry["published"] else {}
    said = [
        f"{metric} {entry['scores'][metric]:.2f}, published {value:g}, "
        f"{entry['difference'][metric]:+.2f}"
        for metric, value in against.items()
        if metric in entry["difference"]
    ]
    said = said or [
        f"{metric} {entry['scores'][metric]:.2f}, nothing published"
        for metric in ("PQ", "AP", "mIoU")
        if entry["scores"].get(metric) is not None
    ]
    print(f"{where}: {'; '.join(said)}", flush=True)


def main(argv: list[str] | None = None) -> int:
    """Run the tool; gives its exit code."""
    arguments = parse_args(argv)
    if arguments.local_rank is not None:
        os.environ.setdefault("LOCAL_RANK", str(arguments.local_rank))

    def run() -> int:
        if arguments.list:
            show_list(arguments)
            return 0
        entries = reproduce(
            plan(arguments.method, arguments.benchmarks),
            arguments.out,
            arguments.method,
            launcher=arguments.launcher,
            changes=arguments.cfg_options,
            checkpoint=arguments.checkpoint,
            seed=arguments.seed,
            fresh=arguments.fresh,
            tell=tell,
        )
        if is_main_process():
            print(f"Tables: {arguments.out}/{arguments.method}.md and .json")
        return int(any(entry["problem"] for entry in entries))

    return report_errors(run, "the same command goes on from here")


if __name__ == "__main__":
    sys.exit(main())
