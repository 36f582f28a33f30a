"""What the benchmarks measure, each in a process of its own: python measured.py NAME [WORDS].

One thread everywhere, so that process time is work and not waiting; prints one JSON object.
"""

import json
import os
import subprocess
import sys
import time
import weakref
from pathlib import Path
from typing import Any

HERE = Path(__file__).parent
ROOT = HERE.parent.parent
FOOTAGE = ROOT / "examples" / "footage"
_THREADS = ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS")


def environment() -> dict[str, str]:
    """This process's, with one thread a library and the checkout importable."""
    return {**os.environ, **dict.fromkeys(_THREADS, "1"), "PYTHONPATH": str(ROOT)}


def measured(name: str, *words: object) -> dict[str, Any]:
    """Run one measurement in a fresh process."""
    command = [sys.executable, str(HERE / "measured.py"), name, *map(str, words)]
    run = subprocess.run(command, env=environment(), check=True, stdout=subprocess.PIPE, text=True)
    return json.loads(run.stdout.splitlines()[-1])


def _landmarks(frames: int) -> tuple[Any, Any, Any]:
    """Video, track and landmarks of the balance clip's man, by the small network."""
    from staf_backend.assets import asset_path
    from staf_backend.landmarks import LandmarkNetwork, landmarks_of
    from staf_backend.people import PersonDetector, choose, find_people
    from staf_backend.runtime import open_network
    from staf_backend.video import open_video

    video = open_video(FOOTAGE / "balance_cam02.mp4")
    detector = PersonDetector(open_network(asset_path("movenet_multipose.onnx"), threads=1))
    (track,) = choose(find_people(video, detector, range(frames)), "largest")
    session = open_network(asset_path("pose_landmark_full.onnx"), threads=1)
    (found,) = landmarks_of(video, [track], LandmarkNetwork(session))
    return video, track, found


def after_networks(keys: int) -> dict[str, float]:
    """Lift, fit and files of a long track: seconds of one core, peak memory.

    The 100 frames of real landmarks go forwards and backwards, so nothing jumps.
    """
    import resource
    import tempfile

    import numpy as np

    from staf_backend.assets import asset_path
    from staf_backend.body import load_body, markers
    from staf_backend.estimators import open_shot
    from staf_backend.fit import Fitter
    from staf_backend.landmarks import Lifter
    from staf_backend.runtime import open_network

    video, track, found = _landmarks(100)
    count = len(track)
    there_and_back = np.concatenate([np.arange(count), np.arange(count - 2, 0, -1)])
    order = np.resize(there_and_back, keys)
    camera = open_shot(video, None, None, None).camera
    chosen = markers.LANDMARKS
    rays = camera.rays(found.points_px[order][:, chosen].astype(float))
    world_m = found.world_m[order][:, chosen].astype(float)
    visibility = found.visibility[order][:, chosen].astype(float)
    times_s = np.arange(keys) / 30
    lifter = Lifter(open_network(asset_path("lift.onnx"), threads=1))
    before_mb = _peak_mb()
    begin_s = time.process_time()
    lifted = lifter.lift(rays, world_m, visibility, times_s)
    lift_s, begin_s = time.process_time() - begin_s, time.process_time()
    body = load_body("open-neutral")
    fitted = Fitter(body).fit(rays, visibility, times_s, lifted)
    fit_s = time.process_time() - begin_s
    with tempfile.TemporaryDirectory() as folder:
        _write(Path(folder), fitted.params, times_s, body, camera)
    peak_mb = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
    return {"lift_s": lift_s, "fit_s": fit_s, "before_mb": before_mb, "peak_mb": peak_mb}


def landmarks_to_files(keys: int) -> dict[str, float]:
    """Everything from landmarks that are there to a .glb and a motion file: what is held at most in
    memory and on the disk, and seconds of one core (with `tracemalloc`, which takes some of them).

    The 100 frames of real landmarks go forwards and backwards, 30 a second, and drift so that no
    stretch is like another.  The fit takes one step on every other frame and one on all: what is
    held does not depend on how many.
    """
    import dataclasses
    import tempfile
    import tracemalloc

    import numpy as np

    from staf_backend.body import load_body
    from staf_backend.estimators import landmarks as estimator
    from staf_backend.estimators import open_shot
    from staf_backend.export.deliver import Outputs, deliver
    from staf_backend.files import long_array, scratch, scratch_in, stretches
    from staf_backend.fit import FitSettings
    from staf_backend.landmarks import Landmarks
    from staf_backend.people import Track
    from staf_backend.pipeline import STAGES, Settings, Solved
    from staf_backend.world import corrected_lens, stand

    video, track, found = _landmarks(100)
    count = len(track)
    order = np.resize(np.concatenate([np.arange(count), np.arange(count - 2, 0, -1)]), keys)
    times_s, drift_px = np.arange(keys) / 30, 30 * np.sin(np.arange(keys) / 500)
    boxes, keypoints = track.boxes_px[order], track.keypoints_px[order]
    boxes[:, 0] += drift_px
    keypoints[..., 0] += drift_px[:, None]
    seen = np.ones(keys, bool)
    track = Track(1, 1, np.arange(keys), times_s, boxes, keypoints, seen)

    def read(*_: object) -> list[Landmarks]:
        known = (found.points_px, found.world_m, found.visibility, found.person)
        arrays = [long_array((keys, *one.shape[1:])) for one in known]
        for rows in stretches(keys):
            for array, one in zip(arrays, known, strict=True):
                array[rows] = one[order[rows]]
            arrays[0][rows, :, 0] += drift_px[rows, None]
        return [Landmarks(*arrays)]

    estimator.read_landmarks = read
    silent = lambda *_: None
    fit = FitSettings(coarse_steps=1, fine_steps=1)
    settings, body = Settings(threads=1, fit=fit), load_body("open-neutral")
    scratch.LEAST_BYTES = 1  # so that growth is that of a clip of any length
    scratch._maps = maps = _Counted()
    video = dataclasses.replace(video, times_s=times_s, fps=30.0)
    shot = open_shot(video, None, None)
    begin_s = time.process_time()
    tracemalloc.start()
    with tempfile.TemporaryDirectory() as folder, scratch_in(Path(folder)):
        estimates = estimator.estimate_by_landmarks(shot, [track], body, settings, silent)
        shot, kept = corrected_lens(shot, list(estimates), body, settings)
        motions = stand(kept, shot, body, settings, settings.world, silent)
        for stage in STAGES:
            motions = stage(motions, shot, body)
        outputs = Outputs(Path(folder) / "one.glb", motion=Path(folder) / "one.npz")
        deliver(Solved(video, tuple(motions), body), outputs, silent)
    seconds = time.process_time() - begin_s
    held_mb = tracemalloc.get_traced_memory()[1] / 1e6
    return {"held_mb": held_mb, "disk_mb": maps.most_bytes / 1e6, "cpu_s": seconds}


class _Counted(weakref.WeakSet[Any]):
    """Mapped files, and how many bytes those had at most that were there at one time."""

    most_bytes = 0

    def add(self, item: Any) -> None:
        super().add(item)
        self.most_bytes = max(self.most_bytes, sum(map(len, self)))


def _write(folder: Path, params: Any, times_s: Any, body: Any, camera: Any) -> None:
    import numpy as np

    from staf_backend.export.gltf import write_glb
    from staf_backend.geometry import continuous_signs, to_quaternions
    from staf_backend.motion import Motion, save_motion

    motion = Motion(
        times_s=times_s,
        frames=np.arange(len(times_s)),
        rotations_wxyz=continuous_signs(to_quaternions(params.rotations)),
        root_m=params.root_m,
        observed=np.ones(len(times_s), bool),
        body=body.name,
        betas=params.betas,
        rest_joints_m=body.rest_joints_m(params.betas),
        camera=camera,
    )
    save_motion(folder / "m.npz", motion)
    write_glb(folder / "m.glb", [motion], {body.name: body})


class Timed:
    """A session that adds up the processor time of its calls (one thread: the caller's own)."""

    def __init__(self, session: Any) -> None:
        self._session = session
        self.seconds = 0.0

    def get_outputs(self) -> Any:
        return self._session.get_outputs()

    def run(self, *words: Any) -> Any:
        begin_s = time.thread_time()
        answer = self._session.run(*words)
        self.seconds += time.thread_time() - begin_s
        return answer


def landmark_stage(network: str) -> dict[str, float]:
    """The landmark stage over 100 frames of 1080 x 1920 against its network calls.

    `stage_s` is everything the stage does in its own thread: taking frames, cutting, network,
    decoding; `frames_s` is what taking the same frames alone costs.
    """
    from staf_backend.assets import asset_path
    from staf_backend.landmarks import LandmarkNetwork, landmarks_of
    from staf_backend.runtime import open_network

    video, track, _ = _landmarks(100)
    session = Timed(open_network(asset_path(network), threads=1))
    landmarks_of(video, [track], LandmarkNetwork(session))  # type: ignore[arg-type]
    session.seconds = 0.0
    begin_s = time.thread_time()
    landmarks_of(video, [track], LandmarkNetwork(session))  # type: ignore[arg-type]
    stage_s, begin_s = time.thread_time() - begin_s, time.thread_time()
    for _ in video.frames(0, 100):
        pass
    return {
        "network_s": session.seconds,
        "stage_s": stage_s,
        "frames_s": time.thread_time() - begin_s,
    }


def hands(video: str, seconds: str) -> dict[str, float]:
    """Reading the fingers of a clip's person, over the first seconds of it.

    `hand_ms` is everything that `--hands auto` adds (body and networks are loaded, the clip is
    decoded once more, hands are found, looked at and fitted), by hand and frame looked at;
    `look_ms` is one call of the landmark network with one hand.
    """
    import numpy as np

    from staf_backend.estimators import chosen_body, hand_networks, open_shot, with_seen_fingers
    from staf_backend.estimators.hands import wanted_of
    from staf_backend.pipeline import Settings, chosen_estimator, solve

    silent = lambda *_: None
    settings = Settings(person="largest", end_s=float(seconds), threads=1, estimator="landmarks")
    solved = solve(video, settings, silent)
    begin_s = time.thread_time()
    fingers = chosen_body(settings, chosen_estimator(settings), fingers=True)
    networks = hand_networks("cpu", 1)
    shot = open_shot(solved.video, None, settings.end_s)
    made, _ = with_seen_fingers(solved.motions, shot, solved.body, fingers, networks, silent)
    spent_s = time.thread_time() - begin_s
    looked_at = [np.isfinite(wanted_of(m).points_px).all((2, 3)).sum() for m in solved.motions]
    image = next(iter(solved.video.frames(0, 1)))
    square, left = np.array([[200.0, 200.0, 100.0, 0.0]]), np.array([False])
    networks.look(image, square, left)
    begin_s = time.thread_time()
    for _ in range(30):
        networks.look(image, square, left)
    return {
        "hands": float(sum(looked_at)),
        "hand_ms": 1000 * spent_s / sum(looked_at),
        "look_ms": 1000 * (time.thread_time() - begin_s) / 30,
        **{f"{side}_seen": made[0].quality[f"{side}_hand_seen"] for side in ("left", "right")},
    }


def peak_of(*command: str) -> dict[str, float]:
    """Peak memory and seconds of a command; a small process starts it, since a child's peak
    begins with its parent's."""
    begin_s = time.monotonic()
    child = os.posix_spawn(sys.executable, [sys.executable, *command], dict(os.environ))
    _, status, usage = os.wait4(child, 0)
    return {
        "peak_mb": usage.ru_maxrss / 1024,
        "cpu_s": usage.ru_utime + usage.ru_stime,
        "wall_s": time.monotonic() - begin_s,
        "code": os.waitstatus_to_exitcode(status),
    }


def _peak_mb() -> float:
    import resource

    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024


_MEASUREMENTS = {
    "after_networks": lambda keys: after_networks(int(keys)),
    "landmarks_to_files": lambda keys: landmarks_to_files(int(keys)),
    "landmark_stage": landmark_stage,
    "hands": hands,
    "peak_of": peak_of,
}

if __name__ == "__main__":
    print(json.dumps(_MEASUREMENTS[sys.argv[1]](*sys.argv[2:])))
