"""What the site's builder makes from the sources: a page of reference per wing, tables of modules.

MkDocs calls the functions whose names begin with `on_` (mkdocs.yml names this file).  Sources are
read, never imported, so that no page needs PyTorch.
"""

import ast
import re
from pathlib import Path
from typing import Any

REPOSITORY = Path(__file__).parent.parent
WINGS = {
    "staf_backend": (
        *("pipeline", "estimators", "motion", "body", "geometry", "video", "people", "landmarks"),
        *("fit", "world", "export", "batch", "blender", "options", "staf", "weights", "devices"),
        *("runtime", "files", "reporting"),
    ),
    "training": (
        *("targets", "datasets", "moves", "synthetic", "simulated", "model", "data", "run"),
        *("scoring", "lifting", "fingers", "contacts", "filming", "sides", "appearance", "drawing"),
    ),
}
"""What has a page of reference, in the order of the menu."""


def on_config(config: Any) -> Any:
    """Add the pages of reference to the menu."""
    menu = [
        {package: [{wing: _place(package, wing)} for wing in wings]}
        for package, wings in WINGS.items()
    ]
    config.nav.append({"Reference": menu})
    return config


def on_files(files: Any, config: Any) -> Any:
    """Add the pages of reference."""
    # here, so that tests need no MkDocs
    from mkdocs.structure.files import File  # pyright: ignore[reportMissingImports]

    for package, wings in WINGS.items():
        for wing in wings:
            text = _page(package, wing)
            page = File.generated(config, _place(package, wing), content=text)
            files.append(page)
    return files


def on_page_markdown(markdown: str, **_others: Any) -> str:
    """Put a table in the place of each `<!-- modules PACKAGE -->`."""
    return re.sub(r"<!-- modules (\w+) -->", lambda found: table(found[1]), markdown)


def modules(package: str, below: str) -> list[tuple[str, Path]]:
    """Dotted name and file of the modules of a wing (or of the module of that name), in order."""
    place = REPOSITORY / package / below
    files = sorted(place.rglob("*.py")) if place.is_dir() else [place.with_suffix(".py")]
    found = []
    for path in files:
        parts = path.relative_to(REPOSITORY).with_suffix("").parts
        found.append((".".join(parts[:-1] if parts[-1] == "__init__" else parts), path))
    return found


def _place(package: str, wing: str) -> str:
    return f"reference/{package}/{wing}.md"


def _page(package: str, wing: str) -> str:
    rows = [f"# {package}.{wing}", ""]
    for name, path in modules(package, wing):
        if path.name == "__init__.py":
            rows += [_head(path), ""]
        else:
            rows += [f"## {name}", "", f"::: {name}", ""]
    return "\n".join(rows)


def table(package: str) -> str:
    """Markdown: a row for each wing and each module on top, with its docstring's first line."""
    rows = ["| room | holds |", "|---|---|"]
    top = REPOSITORY / package
    for path in sorted(top.rglob("*.py")):
        is_wing = path.name == "__init__.py"
        if (path.parent == top) == is_wing:  # the package itself, or a module inside a wing
            continue
        name = ".".join(path.parent.relative_to(top).parts) if is_wing else path.stem
        shown = (
            f"[`{name}`]({_place(package, name)})"
            if name in WINGS.get(package, ())
            else f"`{name}`"
        )
        rows.append(f"| {shown} | {_head(path)} |")
    return "\n".join(rows)


def _head(path: Path) -> str:
    """The first paragraph of a file's docstring, on one line."""
    text = ast.get_docstring(ast.parse(path.read_text(encoding="utf-8"))) or ""
    return " ".join(text.split("\n\n")[0].split())
