"""What adcr is built on: pinned, under licences that allow it, and nothing that is fetched or unpickled at run time."""

from __future__ import annotations

import ast
import re
import tomllib
from pathlib import Path

import pytest

#: Licences that ask for notice at most; of MPL packages nothing is changed.
ALLOWED = re.compile(
    r"MIT|BSD|Apache|PSF|ISC|MPL|Mozilla|Zlib|0BSD|CC0|Unlicense|Dual License|Historical|Python Software|HPND",
    re.IGNORECASE,
)
FORBIDDEN = re.compile(r"\bA?GPL|\bGNU (Affero )?General|SSPL|Commons Clause|proprietary", re.IGNORECASE)
ROOMS = ("features", "training", "serving")
#: Names whose call reads a pickle or runs a text.
UNSAFE = {"pickle", "cloudpickle", "joblib", "dill", "marshal", "shelve"}


def listed(root: Path) -> dict[str, str]:
    lines = (root / "LICENCES.md").read_text(encoding="utf-8").splitlines()
    cells = [line.strip("| ").split(" | ") for line in lines if line.startswith("| ")]
    return {name: licence for name, licence in cells if name != "package"}


def test_every_licence_asks_for_notice_at_most(project_root: Path) -> None:
    licences = listed(project_root)
    assert len(licences) > 100
    for name, licence in licences.items():
        assert ALLOWED.search(licence), f"{name}: {licence}"
        assert not FORBIDDEN.search(licence), f"{name}: {licence}"


def test_every_package_that_adcr_needs_is_pinned_and_its_licence_listed(project_root: Path) -> None:
    project = tomllib.loads((project_root / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    needed = {re.split(r"[<>=]", requirement)[0].lower() for requirement in project["dependencies"]}
    pins = (project_root / "constraints.txt").read_text(encoding="utf-8").splitlines()
    pinned = {line.partition("==")[0].lower().replace("_", "-") for line in pins if "==" in line}
    assert needed <= pinned
    named = {name.lower().replace("_", "-") for name in listed(project_root)}
    assert needed <= named, "run `make licences`"


@pytest.mark.parametrize("room", ROOMS)
def test_nothing_is_unpickled_evaluated_or_fetched_as_code(room: str, project_root: Path) -> None:
    for path in (project_root / room).rglob("*.py"):
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            imported = {alias.name for alias in node.names} if isinstance(node, ast.Import) else set()
            if isinstance(node, ast.ImportFrom):
                imported = {node.module or ""}
            assert not {name.partition(".")[0] for name in imported} & UNSAFE, path
            called = node.func.id if isinstance(node, ast.Call) and isinstance(node.func, ast.Name) else ""
            assert called not in {"eval", "exec", "compile", "__import__"}, path
            words = {keyword.arg for keyword in node.keywords} if isinstance(node, ast.Call) else set()
            assert "shell" not in words, path
