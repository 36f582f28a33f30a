"""What the add-on promises about itself."""

import ast
import re
import subprocess
import sys
import tomllib
from pathlib import Path

import pytest

REPOSITORY = Path(__file__).resolve().parents[2]
ADDON = REPOSITORY / "addon"
MODULES = {
    path.relative_to(ADDON).with_suffix("").as_posix().replace("/", "."): path
    for path in sorted(ADDON.rglob("*.py"))
}
PURE = (
    *("user_error", "scene.bone_names", "scene.motion_file", "scene.axes", "scene.timing"),
    *(
        "scene.bones",
        "scene.body_file",
        "solving.process",
        "solving.job",
        "solving.tracks",
        "solving.contacts",
        "solving.installing",
    ),
    *("solving.supervisor", "solving.protocol", "names"),
    *("retarget.fading", "retarget.feet", "retarget.fitting", "retarget.guess", "retarget.hips"),
    *("retarget.joints", "retarget.legs"),
    *("retarget.kept_maps", "retarget.map_file", "retarget.performance", "retarget.posing"),
    *("retarget.rotations", "retarget.schemes", "retarget.shape", "retarget.structure"),
    *("retarget.soles", "retarget.twist"),
)
MANIFEST = tomllib.loads((ADDON / "blender_manifest.toml").read_text())


def roots(path: Path) -> set[str]:
    """Top-level names that a module imports; relative imports are its own package."""
    found = set()
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.Import):
            found |= {alias.name.split(".")[0] for alias in node.names}
        elif isinstance(node, ast.ImportFrom) and node.level == 0:
            found.add(str(node.module).split(".")[0])
    return found


@pytest.mark.parametrize("name", MODULES)
def test_imports_only_blender_numpy_and_the_standard_library(name):
    allowed = {"bpy", "bpy_extras", "mathutils", "numpy"} | set(sys.stdlib_module_names)
    assert roots(MODULES[name]) <= allowed
    if name in PURE:
        assert not roots(MODULES[name]) & {"bpy", "bpy_extras", "mathutils"}


def needs(name: str) -> set[str]:
    """Modules of the add-on that a module imports."""
    found = set()
    for node in ast.walk(ast.parse(MODULES[name].read_text())):
        if isinstance(node, ast.ImportFrom) and node.level:
            folder = name.split(".")[: -node.level]
            base = ".".join([*folder, *([node.module] if node.module else [])])
            found |= {base} | {f"{base}.{alias.name}".lstrip(".") for alias in node.names}
    return found & set(MODULES)


def test_no_import_cycles():
    arrows = {name: needs(name) for name in MODULES}
    assert arrows["solving.job"] == {"solving.process", "solving.protocol", "names", "user_error"}
    done: set[str] = set()
    while len(done) < len(arrows):
        ready = {name for name, used in arrows.items() if name not in done and used <= done}
        assert ready, f"a cycle among {sorted(set(arrows) - done)}"
        done |= ready


def test_pure_modules_need_neither_blender_nor_the_backend():
    lines = "; ".join(f"import addon.{name}" for name in PURE)
    program = f"import sys; {lines}; print(*sys.modules)"
    ran = subprocess.run(
        [sys.executable, "-c", program], capture_output=True, text=True, cwd=REPOSITORY, check=True
    )
    assert not {"bpy", "staf_backend", "torch"} & set(ran.stdout.split())


def test_every_file_says_its_licence():
    for path in MODULES.values():
        assert path.read_text().startswith("# SPDX-License-Identifier: GPL-3.0-or-later\n"), path
    assert "GNU GENERAL PUBLIC LICENSE" in (ADDON / "LICENSE").read_text()


def test_choices_are_the_backends():
    """The add-on may import nothing of the backend, so it writes down what it may ask for."""
    from addon.scene.body_file import LOOKS
    from addon.scene.bone_names import SCHEMES, scheme_items
    from addon.scene.bones import ROOT_MOTIONS
    from addon.solving.job import ESTIMATORS, PRESETS
    from staf_backend import choices

    assert SCHEMES == choices.BONE_SCHEMES
    assert [item[0] for item in scheme_items()] == list(SCHEMES)
    assert set(ESTIMATORS) == set(choices.ESTIMATORS)
    assert set(PRESETS) == set(choices.PRESETS)
    assert set(ROOT_MOTIONS) == set(choices.ROOT_MOTIONS)
    assert tuple(look.lower() for look in LOOKS) == choices.LOOKS, "the default first"


def test_manifest():
    assert MANIFEST["id"] == "staf"
    assert MANIFEST["blender_version_min"] == "4.2.0"
    assert "SPDX:GPL-3.0-or-later" in MANIFEST["license"]
    assert set(MANIFEST["tags"]) == {"Animation", "Import-Export"}
    assert "blender" not in MANIFEST["name"].lower()
    assert set(MANIFEST["permissions"]) == {"files", "network"}
    assert not MANIFEST["tagline"].endswith(".")


def operators() -> dict[str, set[str]]:
    """Operators and their properties, from the source."""
    found = {}
    for path in MODULES.values():
        for node in ast.parse(path.read_text()).body:
            if not isinstance(node, ast.ClassDef):
                continue
            names, properties = {}, set()
            for line in node.body:
                if isinstance(line, ast.Assign) and isinstance(line.value, ast.Constant):
                    names[ast.unparse(line.targets[0])] = line.value.value
                if isinstance(line, ast.AnnAssign) and "Property(" in ast.unparse(line.annotation):
                    properties.add(ast.unparse(line.target))
            if str(names.get("bl_idname", "")).startswith("staf."):
                found[names["bl_idname"]] = properties
    return found


def test_page_of_operators_names_every_operator_and_argument():
    page = (ADDON / "README.md").read_text()
    hidden = {"filter_glob"}
    for name, properties in operators().items():
        sections = re.split(r"^### ", page, flags=re.M)
        section = [text for text in sections if text.startswith(f"`bpy.ops.{name}`")]
        assert section, f"{name} is not on the page"
        for argument in properties - hidden:
            assert f"`{argument}`" in section[0], f"{name}: {argument} is not on the page"
    named = set(re.findall(r"^### `bpy\.ops\.(staf\.\w+)`", page, flags=re.M))
    assert named == set(operators())
