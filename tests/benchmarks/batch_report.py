"""What `staf batch` holds to, measured: a report that one command makes again.

    python -m tests.benchmarks.batch_report FOLDER                    # all parts, long
    python -m tests.benchmarks.batch_report FOLDER --only schedule corrupt --clips 40

Each part writes FOLDER/PART.json and a paragraph to FOLDER/report.md:

    schedule   10,000 clips that cost nothing: the driver's time and memory, local and (where it is
               installed) on Ray
    corrupt    generated clips, every tenth damaged in one of ten ways
    kills      the batch and its workers killed at random moments, and run again
    disk       a small disk that fills up and a read-only one (needs the right to mount)
    speed      two workers against one: a minute or two, on a machine that does nothing else
    length     time and memory for each minute of footage, from ten seconds to an hour
"""

import argparse
import json
import os
import platform
import random
import resource
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

from tests.backend.batch.test_batch import children, report, results, states
from tests.support.command_line import staf, start
from tests.support.make_batch import STUB_SCRIPT, corrupt, short_clips, write_long

WORDS = ("--preset", "fast", "--largest", "--motion")


def schedule(folder: Path, options: argparse.Namespace) -> dict[str, Any]:
    """Stub clips, in a process of its own for each measurement."""
    told: dict[str, Any] = {}
    kinds = ["local", "ray"] if _has_ray() else ["local"]
    for kind in kinds:
        for count in (100, 1000, options.stubs):
            out = folder / f"stubs-{kind}-{count}"
            command = [sys.executable, "-c", STUB_SCRIPT, kind, str(count), str(out)]
            ended = subprocess.run(command, capture_output=True, text=True, check=False)
            if ended.returncode:
                raise RuntimeError(ended.stderr[-2000:])
            told[f"{kind} {count}"] = json.loads(ended.stdout.splitlines()[-1])
            shutil.rmtree(out)
    return told


def _has_ray() -> bool:
    try:
        import ray  # noqa: F401  # pyright: ignore[reportMissingImports]
    except ImportError:
        return False
    return True


def corrupted(folder: Path, options: argparse.Namespace) -> dict[str, Any]:
    """Every tenth clip is damaged: what was done, what was told, and what was done twice."""
    clips = short_clips(folder / "in", options.clips)
    bad = {
        clip.stem: corrupt(clip, number // 10)
        for number, clip in enumerate(clips)
        if number % 10 == 9
    }
    began = time.monotonic()
    words = ("batch", folder / "in", "--out", folder / "out", "--workers", 2, *WORDS)
    ran = staf(*words, cwd=folder, timeout_s=7200)
    seconds = time.monotonic() - began
    told = states(folder / "out")
    settled = [line for line in ran.stdout.splitlines() if line.startswith("[")]
    return {
        "clips": len(clips),
        "damaged": len(bad),
        "exit_code": ran.returncode,
        "seconds": round(seconds, 1),
        "good_done": sum(told[clip.stem] == "done" for clip in clips if clip.stem not in bad),
        "bad_told": sum(told[name] == "failed" for name in bad),
        "settled_lines": len(settled),
        "traceback": "Traceback" in ran.stdout + ran.stderr,
    }


def kills(folder: Path, options: argparse.Namespace) -> dict[str, Any]:
    """The batch and workers die at random moments; the tree is that of an undisturbed batch."""
    short_clips(folder / "in", 12)
    words = ("batch", folder / "in", "--workers", 2, *WORDS)
    began = time.monotonic()
    staf(*words, "--out", folder / "calm", cwd=folder, timeout_s=3600)
    clip_s = (time.monotonic() - began) / 12
    calm, dice, mine = results(folder / "calm"), random.Random(16), folder / "out"
    assert len(calm) == 24
    killed = {"batch": 0, "worker": 0}
    wanted = {"batch": options.kills, "worker": options.kills * 5 // 2}
    strays = alone = 0
    while killed != wanted:
        running = start(*words, "--out", mine, cwd=folder)
        while running.poll() is None and killed != wanted:
            time.sleep(dice.uniform(0.1, 2.0) * clip_s)
            workers = [int(pid) for pid in children(running.pid)]
            left = wanted["worker"] - killed["worker"]
            if workers and left and (dice.random() < 0.7 or killed["batch"] == wanted["batch"]):
                killed["worker"] += _kill(dice.choice(workers))
            elif killed["batch"] < wanted["batch"] and running.poll() is None:
                running.kill()
                killed["batch"] += 1
        alone = alone + 1 if running.poll() in (0, 3) else 0
        running.kill()
        running.communicate()
        strays += len(results(mine).keys() - calm.keys())
        if results(mine) == calm:
            shutil.rmtree(mine)
        elif alone == 5:
            raise RuntimeError(f"What failed stays so: {states(mine)}")
    ran = staf(*words, "--out", mine, cwd=folder, timeout_s=3600)
    same = results(mine) == calm and states(mine) == states(folder / "calm")
    return {"killed": killed, "exit_code": ran.returncode, "tree_identical": same, "strays": strays}


def _kill(pid: int) -> bool:
    try:
        os.kill(pid, signal.SIGKILL)
    except ProcessLookupError:
        return False
    return True


def disk(folder: Path, _options: argparse.Namespace) -> dict[str, Any]:
    """A disk too small, a larger one, then the same read-only."""
    short_clips(folder / "in", 6)
    place = folder / "disk"
    place.mkdir()
    words = ("batch", folder / "in", "--workers", 1, *WORDS)
    staf(*words, "--out", folder / "calm", cwd=folder, timeout_s=3600)
    calm = results(folder / "calm")
    size = sum(map(len, calm.values())) * 2 // 5
    _mount("-t", "tmpfs", "-o", f"size={size}", "tmpfs", str(place))
    try:
        full = staf(*words, "--out", place / "out", cwd=folder, timeout_s=3600)
        kept = results(place / "out")
        whole = all(calm.get(name) == data for name, data in kept.items())
        _mount("-o", "remount,size=200m", str(place))
        again = staf(*words, "--out", place / "out", cwd=folder, timeout_s=3600)
        same = results(place / "out") == calm
        _mount("-o", "remount,ro", str(place))
        closed = staf(*words, "--out", place / "out", "--force", cwd=folder, timeout_s=3600)
        kept_closed = results(place / "out") == calm
    finally:
        subprocess.run(["umount", str(place)], check=False)
    return {
        "full_exit_code": full.returncode,
        "full_says": full.stderr.strip().splitlines()[-1:] or full.stdout.splitlines()[-1:],
        "whole_files_when_full": [len(kept), whole],
        "after_more_room": [again.returncode, same],
        "read_only_exit_code": closed.returncode,
        "read_only_says": closed.stderr.strip(),
        "read_only_lost_nothing": kept_closed,
        "traceback": "Traceback" in full.stderr + again.stderr + closed.stderr,
    }


def _mount(*words: str) -> None:
    subprocess.run(["mount", *words], check=True)


def speed(folder: Path, options: argparse.Namespace) -> dict[str, Any]:
    """The same clips with a worker that has one core, with one that has two, and with two workers.

    Clips at a time bring the most where a worker has one core: one that has two gives them to its
    networks.
    """
    short_clips(folder / "in", min(options.clips, 16))
    cores = sorted(os.sched_getaffinity(0))[:2]
    told: dict[str, Any] = {"load_before": os.getloadavg()[0], "cores": len(cores)}
    for name, workers, count in (("1 on 1", 1, 1), ("1 on 2", 1, 2), ("2 on 2", 2, 2)):
        words = ("batch", folder / "in", "--out", folder / name, "--workers", workers, *WORDS)
        told[name] = _timed(*words, cores=cores[:count], cwd=folder)
    for name in ("1 on 1", "1 on 2"):
        told[f"gain over {name}"] = round(told[name]["seconds"] / told["2 on 2"]["seconds"], 2)
    return told


def _timed(*words: object, cores: list[int], cwd: Path) -> dict[str, Any]:
    """Run on some cores: seconds on the clock and of the processor, and the largest process."""
    before = resource.getrusage(resource.RUSAGE_CHILDREN)
    began = time.monotonic()
    ended = staf(*words, cwd=cwd, before=lambda: os.sched_setaffinity(0, cores), timeout_s=36_000)
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    used = after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime
    return {
        "exit_code": ended.returncode,
        "seconds": round(time.monotonic() - began, 1),
        "processor_s": round(used, 1),
        "peak_mb": round(after.ru_maxrss / 1024),
    }


def length(folder: Path, options: argparse.Namespace) -> dict[str, Any]:
    """One clip at a time, each longer than the last, of few frames a second."""
    told = {}
    for seconds in (10, 60, 600, 1800, 3600):
        if seconds > options.minutes * 60:
            break
        clip = write_long(folder / f"{seconds}.mp4", seconds, options.fps)
        out = folder / f"out{seconds}"
        words = ("batch", clip, "--out", out, "--workers", 1, *WORDS)
        ran = _timed(*words, cores=sorted(os.sched_getaffinity(0)), cwd=folder)
        told[f"{seconds} s"] = ran | {
            "processor_s_per_minute": round(ran["processor_s"] * 60 / seconds, 1),
            "stages_s": report(out)["totals"]["stages_s"],
        }
        print(seconds, told[f"{seconds} s"], flush=True)
    return told


PARTS: dict[str, Callable[[Path, argparse.Namespace], dict[str, Any]]] = {
    "schedule": schedule,
    "corrupt": corrupted,
    "kills": kills,
    "disk": disk,
    "speed": speed,
    "length": length,
}


def main() -> None:
    """Measure, and write the report."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").split("\n")[0])
    parser.add_argument("folder", type=Path)
    parser.add_argument("--only", nargs="*", choices=PARTS, default=list(PARTS))
    parser.add_argument("--clips", type=int, default=200)
    parser.add_argument("--stubs", type=int, default=10_000)
    parser.add_argument("--kills", type=int, default=20, help="of the batch; workers 2.5 times")
    parser.add_argument("--minutes", type=float, default=60, help="the longest clip")
    parser.add_argument("--fps", type=int, default=5, help="of the long clips")
    options = parser.parse_args()
    options.folder.mkdir(parents=True, exist_ok=True)
    text = [f"# staf batch, measured\n\n{platform.platform()}, {os.cpu_count()} cores\n"]
    for name in PARTS:
        kept = options.folder / f"{name}.json"
        if name in options.only:
            work = options.folder.resolve() / name
            shutil.rmtree(work, ignore_errors=True)
            work.mkdir()
            kept.write_text(json.dumps(PARTS[name](work, options), indent=1) + "\n")
            print(name, kept.read_text(), flush=True)
            shutil.rmtree(work)
        if kept.exists():
            text.append(f"## {name}\n\n```json\n{kept.read_text()}```\n")
    (options.folder / "report.md").write_text("\n".join(text))


if __name__ == "__main__":
    main()
