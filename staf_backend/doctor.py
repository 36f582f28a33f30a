"""`staf doctor`: versions, devices, networks, bodies; what is missing, and how to get it."""

import dataclasses
import importlib.metadata
import platform
from typing import Any

from staf_backend import StafError, __version__, assets
from staf_backend.body import body_path, known_bodies, load_body
from staf_backend.estimators import EstimatorSettings, chosen_estimator
from staf_backend.reporting import Reporter
from staf_backend.runtime import devices, providers, started_device, usable_cores
from staf_backend.weights import appearance_in_use, check_appearance, known_sets, set_values

_PACKAGES = ("numpy", "scipy", "av", "opencv-python", "onnxruntime", "pygltflib")
_STAGES = {
    "detect": "onnxruntime",
    "landmarks": "onnxruntime",
    "lift": "onnxruntime",
    "staf": "torch",
}
"""Whose networks run in which stage; all others compute with NumPy."""
_EXTRAS = {
    "torch": "staf",
    "safetensors": "staf",
    "smplx": "smplx",
    "usd-core": "usd",
    "bpy": "blender",
}


def examine(reporter: Reporter) -> int:
    """Report on this installation; returns 0 when the default estimator can work, else 6."""
    versions = {"staf": __version__, "python": platform.python_version()}
    versions |= {name: _version(name) for name in (*_PACKAGES, *_EXTRAS)}
    problems = [
        {"message": f"The package {name} is missing.", "advice": f"pip install {name}"}
        for name in _PACKAGES
        if versions[name] is None
    ]
    weights, broken = _check(assets.names(), assets.asset_path)
    bodies, lost = _bodies()
    problems += broken + lost
    started, torch_devices, unstarted = _devices(versions)
    problems += unstarted
    appearance, lost = _appearance()
    problems += [one for one in lost if one not in problems]
    values = {
        "ok": not problems,
        "versions": versions,
        "devices": list(devices()) if versions["onnxruntime"] else [],
        "providers": list(providers()) if versions["onnxruntime"] else [],
        "torch_devices": torch_devices,
        "stages": [
            {"stage": stage, "runs_on": started[package], "by": package}
            for stage, package in _STAGES.items()
            if package in started
        ],
        "estimator": chosen_estimator(EstimatorSettings()),
        "cores": usable_cores(),
        "weights": weights,
        "staf_weights": [set_values(one) for one in known_sets()],
        "appearance": appearance,
        "bodies": bodies,
        "problems": problems,
    }
    reporter.result(_told(values), values)
    return 0 if not problems else assets.AssetError.exit_code


def _version(package: str) -> str | None:
    try:
        return importlib.metadata.version(package)
    except importlib.metadata.PackageNotFoundError:
        return None


def _check(names: tuple[str, ...], load: Any) -> tuple[list[dict], list[dict]]:
    """What loads, with the status of each, and the problems of what does not."""
    states, problems = [], []
    for name in names:
        try:
            load(name)
        except StafError as error:
            states.append({"name": name, "status": "damaged", "message": error.message})
            problems.append({"message": error.message, "advice": error.advice})
        else:
            states.append({"name": name, "status": "ok", "message": ""})
    return states, problems


def _devices(versions: dict[str, str | None]) -> tuple[dict[str, str], list[dict], list[dict]]:
    """What "auto" starts on by package, all that PyTorch sees, and the problems."""
    started, seen, problems = {}, [], []
    if versions["onnxruntime"]:
        try:
            started["onnxruntime"] = started_device()
        except StafError as error:
            problems.append({"message": error.message, "advice": error.advice})
    if versions["torch"]:
        try:
            from staf_backend.devices import choose_device, torch_devices

            started["torch"] = str(choose_device())
            seen = [dataclasses.asdict(device) for device in torch_devices()]
        except (ImportError, OSError) as error:  # libraries of another build, or half of them
            advice = "Install it again: pip install --force-reinstall torch"
            problems.append({"message": f"PyTorch cannot be loaded: {error}.", "advice": advice})
    return started, seen, problems


def _bodies() -> tuple[list[dict], list[dict]]:
    found, problems = [], []
    for name in known_bodies():
        try:
            body = load_body(name)
        except StafError as error:
            problems.append({"message": error.message, "advice": error.advice})
        else:
            path = body_path(name)
            found.append({"name": name, "kind": body.kind, "gender": body.gender, "path": path})
    return found, problems


def _appearance() -> tuple[str, list[dict]]:
    """The network that tells people apart, and the problems with it."""
    name = ""
    try:
        name = appearance_in_use()
        check_appearance(name)
    except StafError as error:
        return name, [{"message": error.message, "advice": error.advice}]
    return name, []


def _told(values: dict[str, Any]) -> str:
    lines = []
    for name, version in values["versions"].items():
        missing = f"not installed (extra [{_EXTRAS[name]}])" if name in _EXTRAS else "missing"
        lines.append(f"{name:<16}{version or missing}")
    lines.append(f"{'devices':<16}{', '.join(values['devices'])}; {values['cores']} cores")
    lines.append(f"{'ONNX Runtime':<16}{', '.join(values['providers'])}")
    for one in values["torch_devices"]:
        lines.append(f"{'PyTorch':<16}{one['name']}: {one['about']} {one['problem']}".rstrip())
    for one in values["stages"]:
        lines.append(f"{'stage ' + one['stage']:<16}{one['by']} on {one['runs_on']}")
    lines.append(f"{'estimator':<16}{values['estimator']}")
    for one in values["staf_weights"]:
        used = " (in use)" if one["in_use"] else ""
        lines.append(f"{'STAF weights':<16}{one['name']}{used}: {one['can'] or one['problem']}")
    lines.append(f"{'appearance':<16}{values['appearance']}")
    lines.append(f"{'bodies':<16}{', '.join(body['name'] for body in values['bodies'])}")
    lines += [f"{one['name']:<32}{one['status']}" for one in values["weights"]]
    lines += [f"problem: {one['message']} {one['advice']}" for one in values["problems"]]
    lines.append("ready" if values["ok"] else "not ready")
    return "\n".join(lines)
