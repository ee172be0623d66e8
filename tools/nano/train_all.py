"""Train all nano models anew, as many recipes side by side as there are cores.

    python tools/nano/train_all.py --work-dir work_dirs

Each recipe has a thread of its own (more, where there are more cores than recipes). Models this
small gain little from a second thread, which mostly waits: for the first one, or for the core that
draws the next scenes.

Interrupt it whenever you like; the same command goes on from the last checkpoints. Recipes that
have written their record are not run again. What they print stands in ``NAME.log`` as well.
"""

from __future__ import annotations

import argparse
import os
import subprocess
import sys
import time
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path

HERE = Path(__file__).resolve().parent


@dataclass(frozen=True)
class Recipe:
    """A script, and the record that it writes last."""

    script: str
    record: str


#: What is freed stays with the process, where glibc is the C library. Otherwise every large tensor
#: goes back to the system, which clears its pages before the next one gets them: at each step
#: again, up to a quarter of its time.
KEEP_MEMORY = {"MALLOC_MMAP_MAX_": "0", "MALLOC_TRIM_THRESHOLD_": str(2**35)}

#: By the names of their folders, those that take longest first: so none is left over for the end.
RECIPES = {
    "nano_sam": Recipe("train_sam.py", "nano-sam-8.record.json"),
    "nano_dino": Recipe("train_dino.py", "nano-dino-8.record.json"),
    "nano_convclip": Recipe("train_convclip.py", "nano-convnext.record.json"),
    "nano_clip": Recipe("train_clip.py", "nano-vit-8.record.json"),
}


def train(name: str, folder: Path, device: str, threads: int) -> int:
    """Run one recipe to its end, unless it has come there already.

    Args:
        name: a key of `RECIPES`.
        folder: the recipe's own one is made in it.
        device: as torch names it.
        threads: for the recipe.

    Returns:
        The recipe's exit status.
    """
    recipe, own = RECIPES[name], folder / name
    if (own / recipe.record).exists():
        print(f"{name} | done before: {own / recipe.record}", flush=True)
        return 0
    command = [sys.executable, str(HERE / recipe.script), "--work-dir", str(own)]
    command += ["--device", device]
    if device == "cpu":
        command += ["--workers", "0"]  # a process that draws would take the core of another recipe
    environment = {"OMP_NUM_THREADS": str(threads), "PYTHONUNBUFFERED": "1", **KEEP_MEMORY}
    began = time.time()
    with (
        (folder / f"{name}.log").open("a", encoding="utf-8") as log,
        subprocess.Popen(
            command,
            env=os.environ | environment,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            encoding="utf-8",
        ) as process,
    ):
        for line in process.stdout:
            log.write(line)
            log.flush()
            print(f"{name} | {line}", end="", flush=True)
    minutes = (time.time() - began) / 60
    how = "done" if process.returncode == 0 else f"stopped with status {process.returncode}"
    print(f"{name} | {how} after {minutes:.0f} minutes", flush=True)
    return process.returncode


def parse_args(argv: list[str] | None = None) -> argparse.Namespace:
    """Command line."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--work-dir", type=Path, default=Path("work_dirs"))
    parser.add_argument("--device", default="cpu")
    parser.add_argument(
        "--side-by-side", type=int, help="recipes at a time; by default as many as there are cores"
    )
    args = parser.parse_args(argv)
    if args.side_by_side is not None and args.side_by_side < 1:
        parser.error(f"--side-by-side must be at least 1, not {args.side_by_side}")
    return args


def main(argv: list[str] | None = None) -> None:
    """Command line."""
    args = parse_args(argv)
    cores = os.cpu_count() or 1
    lanes = min(args.side_by_side or cores, len(RECIPES))
    threads = max(1, cores // lanes)
    args.work_dir.mkdir(parents=True, exist_ok=True)
    with ThreadPoolExecutor(lanes) as pool:
        try:
            runs = {
                name: pool.submit(train, name, args.work_dir, args.device, threads)
                for name in RECIPES
            }
            failed = [name for name, run in runs.items() if run.result() != 0]
        except KeyboardInterrupt:
            # The recipes are told by the terminal too, and end by themselves.
            pool.shutdown(cancel_futures=True)
            raise SystemExit("interrupted: the same command goes on") from None
    if failed:
        logs = ", ".join(str(args.work_dir / f"{name}.log") for name in failed)
        raise SystemExit(f"failed: {', '.join(failed)}; see the end of {logs}")


if __name__ == "__main__":
    main()
