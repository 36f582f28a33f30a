"""Who may import whom, read from the code itself; and what an import may not load."""

import ast
import subprocess
import sys
from collections.abc import Collection, Iterable, Iterator
from functools import cache
from graphlib import CycleError, TopologicalSorter
from pathlib import Path

import pytest

from tests.support.places import REPOSITORY

FORBIDDEN = {
    "staf_backend": {"bpy", "mathutils", "addon", "training", "tests", "smplx", "chumpy"},
    "training": {"bpy", "mathutils", "addon", "tests"},
    "addon": {
        *("torch", "staf_backend", "training", "tests", "cv2", "scipy", "onnxruntime", "av"),
        *("pygltflib", "smplx", "safetensors", "PIL", "requests"),
    },
}
ADDON_MAY = {"bpy", "bpy_extras", "mathutils", "gpu", "gpu_extras", "blf", "numpy", "addon"}
CRASHING = {"pickle", "joblib", "dill", "shelve", "marshal"}
HEAVY = ("torch", "cv2", "onnxruntime", "av")

WINGS = {  # lowest first; a wing imports only from lines below its own, so wings have no cycle
    "staf_backend": """
        files  reporting  choices
        geometry
        assets
        runtime  devices
        video  body  motion
        people  staf  blender
        staf.encoders
        landmarks  staf.streaming
        fit  weights
        estimators
        world
        pipeline
        export
        batch
        options
        commands  doctor
        cli
        __main__
    """,
    "training": """
        command  joints
        targets  moves
        model  datasets
        drawing
        synthetic
        simulated
        data
        scoring
        run  filming
        lifting  fingers  contacts  options
        appearance  sides
        prepare  stage_image  stage_video  estimator_scores  world_scores  ship
        table_runs
        evaluate
        figures
    """,
    "addon": """
        user_error  names  archive  json_text  storage  panels  staf_blender  staf_blend  staf_fbx
        scene  reporting
        solving  retarget
        controls
        settings  on_character
        file_choice
        import_operators  export_operators  preferences  quality
        solve_operators  retarget_operators  control_operators
        people_operators  contact_operators  layer_operators
        ui  retarget_panel  control_panel
        registration
    """,
}
TORCH = ("staf.", "weights.", "devices", "estimators.staf")
LIGHT = {
    *("staf.config", "staf.configurations", "staf.crop"),
    *("weights.info", "weights.error", "weights.in_use", "weights.set_commands"),
    *("weights.appearance", "weights.appearance_info", "weights.choice"),
    *("weights.appearance_add", "weights.appearance_commands"),
}


def modules(package: str) -> dict[str, Path]:
    """Dotted name -> file, of a package and its folders."""
    found = {}
    for path in sorted((REPOSITORY / package).rglob("*.py")):
        parts = path.relative_to(REPOSITORY).with_suffix("").parts
        found[".".join(parts[:-1] if parts[-1] == "__init__" else parts)] = path
    return found


@cache
def parsed(path: Path) -> ast.Module:
    """A module's text as a tree; read once, since many tests ask for it."""
    return ast.parse(path.read_text())


def runtime_nodes(tree: ast.AST) -> Iterator[ast.AST]:
    """All nodes but those under `if TYPE_CHECKING`, which no run executes."""
    for node in ast.iter_child_nodes(tree):
        test = ast.unparse(node.test) if isinstance(node, ast.If) else ""
        if test not in ("TYPE_CHECKING", "typing.TYPE_CHECKING"):
            yield node
            yield from runtime_nodes(node)


def at_import(tree: ast.AST) -> Iterator[ast.AST]:
    """Nodes that run when the module is imported: none inside a function."""
    for node in ast.iter_child_nodes(tree):
        test = ast.unparse(node.test) if isinstance(node, ast.If) else ""
        inside = isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef | ast.Lambda)
        if test not in ("TYPE_CHECKING", "typing.TYPE_CHECKING") and not inside:
            yield node
            yield from at_import(node)


def imported(
    nodes: Iterator[ast.AST], name: str, is_package: bool, known: Collection[str] = ()
) -> set[str]:
    """Dotted names that these nodes import, relative ones resolved; "a.b" for `from a import b`.

    And "a", unless all that is taken from there are modules, which are `known`.
    """
    found: set[str] = set()
    for node in nodes:
        if isinstance(node, ast.Import):
            found |= {alias.name for alias in node.names}
        if isinstance(node, ast.ImportFrom):
            base = node.module or ""
            if node.level:
                parts = name.split(".")
                up = parts[: len(parts) - node.level + is_package]
                base = ".".join([*up, *([node.module] if node.module else [])])
            taken = {f"{base}.{alias.name}" for alias in node.names}
            found |= taken if taken <= set(known) else taken | {base}
    return found


@cache
def imports(package: str, nodes=runtime_nodes) -> dict[str, set[str]]:
    """Module -> everything it imports; do not change it."""
    known = modules(package)
    return {
        name: imported(nodes(parsed(path)), name, path.name == "__init__.py", known)
        for name, path in known.items()
    }


def roots(names: set[str]) -> set[str]:
    return {name.split(".")[0] for name in names}


@pytest.mark.parametrize("package", FORBIDDEN)
def test_forbidden_roots(package: str):
    found = imports(package)
    assert len(found) > 5, "the parser sees the package"
    offences = {name: roots(used) & FORBIDDEN[package] for name, used in found.items()}
    assert {name: used for name, used in offences.items() if used} == {}


def test_the_addon_stands_alone():
    """Blender's own modules, numpy, the standard library and itself; nothing else is there."""
    standard = set(sys.stdlib_module_names)
    foreign = {name: roots(used) - standard - ADDON_MAY for name, used in imports("addon").items()}
    assert {name: used for name, used in foreign.items() if used} == {}


def test_nothing_imports_the_training():
    users = [name for name, used in imports("staf_backend").items() if "training" in roots(used)]
    users += [name for name, used in imports("addon").items() if "training" in roots(used)]
    assert users == []


@pytest.mark.parametrize("package", ["staf_backend", "addon", "training"])
def test_no_cycle(package: str):
    known = set(modules(package))
    graph = {name: (used & known) - {name} for name, used in imports(package).items()}
    if package == "addon":  # the package's own file starts the others; they do not look back
        graph = {name: used - {package} for name, used in graph.items()}
    try:
        order = list(TopologicalSorter(graph).static_order())
    except CycleError as error:
        pytest.fail(" -> ".join(error.args[1]))
    assert set(order) == known


def test_the_cycle_finder_finds_cycles():
    with pytest.raises(CycleError):
        TopologicalSorter({"a": {"b"}, "b": {"a"}}).prepare()
    tree = ast.parse("def f():\n    from .b import c\nif TYPE_CHECKING:\n    import d\n")
    assert imported(runtime_nodes(tree), "p.a", False) == {"p.b", "p.b.c"}
    assert imported(at_import(tree), "p.a", False) == set()
    assert imported(runtime_nodes(tree), "p", True) == {"p.b", "p.b.c"}


def test_nobody_unpickles():
    """`body.pickles` reads users' files by its own restricted machine; nobody else may."""
    found = {
        name: roots(used) & CRASHING
        for package in ("staf_backend", "addon", "training")
        for name, used in imports(package).items()
    }
    users = {name for name, used in found.items() if used}
    assert users <= {"staf_backend.body.pickles", "staf_backend.weights.checkpoint_file"}


def test_onnx_runtime_is_loaded_in_one_room():
    """After `staf_backend` has switched its telemetry off, and by nobody who did not import it."""
    files = [
        p
        for package in ("staf_backend", "training", "tests")
        for p in (REPOSITORY / package).rglob("*.py")
    ]
    users = {
        path.relative_to(REPOSITORY).as_posix()
        for path in files
        if b"onnxruntime" in path.read_bytes()
        and "onnxruntime" in roots(imported(runtime_nodes(parsed(path)), "", False))
    }
    assert users == {
        "staf_backend/runtime/onnx_session.py",
        "tests/backend/runtime/test_onnx_session.py",
    }


def levels(package: str) -> dict[str, int]:
    """Wing, or module that lies on top -> its line in `WINGS`."""
    lines = WINGS[package].strip().splitlines()
    return {name: number for number, line in enumerate(lines) for name in line.split()}


def wing(module: str, known: Iterable[str]) -> str:
    """The innermost wing that a module lies in; "" for the package itself."""
    parts = module.split(".")[1:]
    while parts and ".".join(parts) not in known:
        parts.pop()
    return ".".join(parts)


@pytest.mark.parametrize("package", WINGS)
def test_wings_import_downwards(package: str):
    level, known = levels(package), modules(package)
    homeless, upwards = [], []
    for name, used in imports(package).items():
        here = wing(name, level)
        if not here and name != package:
            homeless.append(name)
        for other in used & set(known):
            there = wing(other, level)
            if here and there and here != there and level[there] >= level[here]:
                upwards.append(f"{name} -> {other}")
    assert homeless == []
    assert upwards == []


def test_torch_stays_in_its_wings():
    """Only the STAF network's wings load torch when imported: the default does without."""
    users = {n for n, used in imports("staf_backend", at_import).items() if "torch" in roots(used)}
    rest = {name.removeprefix("staf_backend.") for name in users}
    assert {name for name in rest if not name.startswith(TORCH)} == set()
    assert rest & LIGHT == set()


@pytest.mark.parametrize(
    ("module", "never"),
    [
        ("staf_backend", (*HEAVY, "scipy", "numpy")),
        ("staf_backend.motion.motion", (*HEAVY, "scipy")),
        ("staf_backend.export.gltf", (*HEAVY, "scipy")),
        ("staf_backend.fit.fitter", HEAVY),
        ("staf_backend.cli", (*HEAVY, "scipy", "numpy")),
        ("staf_backend.pipeline", ("torch", "scipy")),
        ("staf_backend.commands", ("torch", "scipy")),
        ("staf_backend.doctor", ("torch",)),
        ("staf_backend.estimators.landmarks", ("torch",)),
    ],
)
def test_a_fresh_process_loads_no_more_than_it_must(module: str, never: tuple[str, ...]):
    code = f"import {module}, sys; print(*sorted({{n.split('.')[0] for n in sys.modules}}))"
    run = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, check=True, cwd=REPOSITORY
    )
    assert set(run.stdout.split()) & set(never) == set()


def test_only_the_command_line_prints():
    """`logging` in libraries; what a command tells goes through `reporting`."""
    users = set()
    for name, path in modules("staf_backend").items():
        for node in ast.walk(parsed(path)):
            if isinstance(node, ast.Call) and ast.unparse(node.func) == "print":
                users.add(name)
    assert users <= {"staf_backend.cli", "staf_backend.reporting"}


def test_files_and_functions_keep_to_their_size():
    """Under 400 lines a file, seventy a function: what one can read at once."""
    long_files, long_functions = {}, {}
    for package in ("staf_backend", "addon", "training"):
        for name, path in modules(package).items():
            text = path.read_text()
            if text.count("\n") > 400:
                long_files[name] = text.count("\n")
            for node in ast.walk(parsed(path)):
                if isinstance(node, ast.FunctionDef):
                    lines = (node.end_lineno or node.lineno) - node.lineno + 1
                    if lines > 70:
                        long_functions[f"{name}.{node.name}"] = lines
    assert long_files == {}
    assert long_functions == {}
