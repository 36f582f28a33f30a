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
MODULES = sorted(ADDON.glob("*.py"))
PURE = (
    *("problem", "bone_names", "motion_file", "axes", "timing", "bones", "body_file", "process"),
    *("job", "installing", "warden"),
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


@pytest.mark.parametrize("path", MODULES, ids=lambda path: path.stem)
def test_imports_only_blender_numpy_and_the_standard_library(path):
    allowed = {"bpy", "bpy_extras", "mathutils", "numpy"} | set(sys.stdlib_module_names)
    assert roots(path) <= allowed
    if path.stem in PURE:
        assert not roots(path) & {"bpy", "bpy_extras", "mathutils"}


def test_no_import_cycles():
    arrows = {}
    for path in MODULES:
        names = set()
        for node in ast.walk(ast.parse(path.read_text())):
            if isinstance(node, ast.ImportFrom) and node.level == 1:
                names |= {node.module} if node.module else {alias.name for alias in node.names}
        arrows[path.stem] = names & {one.stem for one in MODULES}
    done: set[str] = set()
    while len(done) < len(arrows):
        ready = {name for name, needs in arrows.items() if name not in done and needs <= done}
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
    for path in MODULES:
        assert path.read_text().startswith("# SPDX-License-Identifier: GPL-3.0-or-later\n"), path
    assert "GNU GENERAL PUBLIC LICENSE" in (ADDON / "LICENSE").read_text()


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
    for path in MODULES:
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
