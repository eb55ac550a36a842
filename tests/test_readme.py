"""The README is true: its commands run, its make targets exist, its links lead somewhere."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

from features.fault_rules import RULES

README = Path(__file__).resolve().parent.parent / "README.md"


def blocks(language: str) -> list[str]:
    """Fenced blocks of one language, in order."""
    return re.findall(rf"^```{language}\n(.*?)^```", README.read_text(encoding="utf-8"), flags=re.MULTILINE | re.DOTALL)


def environment(folder: Path) -> dict[str, str]:
    """The user's environment with this adcr first on the path and its store in `folder`."""
    path = os.pathsep.join([str(Path(sys.executable).parent), os.environ["PATH"]])
    return {**os.environ, "PATH": path, "MLFLOW_TRACKING_URI": f"sqlite:///{folder / 'mlflow.db'}"}


def test_the_readmes_commands_run_in_their_order(tmp_path: Path) -> None:
    lines = [line for block in blocks("sh") for line in block.replace("\\\n", " ").splitlines() if line.strip()]
    assert any(line.startswith("adcr train") for line in lines)
    for line in lines:
        done = subprocess.run(
            line, shell=True, cwd=tmp_path, env=environment(tmp_path), capture_output=True, text=True, check=False
        )
        assert done.returncode == 0, f"{line}\n{done.stdout}\n{done.stderr}"


def test_the_readmes_make_targets_exist(project_root: Path) -> None:
    makefile = (project_root / "Makefile").read_text(encoding="utf-8")
    for target in re.findall(r"(?:^|`)make ([a-z-]+)", README.read_text(encoding="utf-8"), flags=re.MULTILINE):
        assert re.search(rf"^{target}:", makefile, flags=re.MULTILINE), target


@pytest.mark.parametrize("document", ["README.md", "CONTRIBUTING.md", "GLOSSARY.md", "CHANGELOG.md"])
def test_every_link_to_a_file_of_the_repository_leads_somewhere(document: str, project_root: Path) -> None:
    text = (project_root / document).read_text(encoding="utf-8")
    for target in re.findall(r"\]\(([^)#:]+)(?:#[^)]*)?\)", text):
        assert (project_root / target).exists(), f"{document}: {target}"


def test_the_readme_lists_every_fault_code() -> None:
    listed = re.findall(r"^\| (COH\d{3}) \|", README.read_text(encoding="utf-8"), flags=re.MULTILINE)
    assert listed == sorted(rule.code for rule in RULES.values())
