"""The house rules that a machine can check: one-way imports, lean start-up, help on every option."""

from __future__ import annotations

import ast
import json
import subprocess
import sys
from importlib import import_module
from pathlib import Path
from typing import TYPE_CHECKING

import click
import pytest

import adcr
import features

if TYPE_CHECKING:
    from collections.abc import Iterator

ROOMS = ("features", "training", "serving")
HEAVY = {"mlflow", "shap", "sklearn", "lightgbm", "pandas", "matplotlib", "scipy"}


def walk_commands() -> Iterator[tuple[str, click.Command]]:
    """Every command that can be called, by its full name."""
    for name, entry in adcr.COMMANDS.items():
        module, _, attribute = entry.target.partition(":")
        command = getattr(import_module(module), attribute)
        if isinstance(command, click.Group):
            for sub_name, sub in command.commands.items():
                yield f"{name} {sub_name}", sub
        else:
            yield name, command


COMMANDS = dict(walk_commands())


def test_the_features_package_is_the_one_of_this_repository(project_root: Path) -> None:
    assert features.__file__ is not None
    assert project_root in Path(features.__file__).resolve().parents


@pytest.mark.parametrize("room", ROOMS)
def test_imports_run_one_way(room: str, project_root: Path) -> None:
    forbidden = {*ROOMS[ROOMS.index(room) + 1 :], "adcr"}
    for path in (project_root / room).rglob("*.py"):
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            names = []
            if isinstance(node, ast.Import):
                names = [alias.name for alias in node.names]
            elif isinstance(node, ast.ImportFrom):
                names = [node.module or ""]
            met = {name.partition(".")[0] for name in names} & forbidden
            assert not met, f"{path.relative_to(project_root)} imports {met}"


@pytest.mark.parametrize("room", ROOMS)
def test_package_files_hold_no_logic(room: str, project_root: Path) -> None:
    for path in (project_root / room).rglob("__init__.py"):
        for node in ast.parse(path.read_text(encoding="utf-8")).body:
            assert isinstance(node, ast.Expr | ast.Import | ast.ImportFrom | ast.Assign), path


def modules_after(arguments: list[str]) -> set[str]:
    """Top-level modules that a command line leaves imported."""
    script = (
        "import io, json, sys, contextlib, adcr\n"
        "with contextlib.redirect_stdout(io.StringIO()):\n"
        f"    code = adcr.main({arguments!r})\n"
        "assert code == 0, code\n"
        "print(json.dumps(sorted({name.partition('.')[0] for name in sys.modules})))\n"
    )
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True)
    return set(json.loads(done.stdout))


def test_the_first_help_page_loads_neither_click_nor_any_room() -> None:
    assert not modules_after(["--help"]) & {*HEAVY, *ROOMS, "click", "numpy"}


@pytest.mark.parametrize("name", COMMANDS)
def test_asking_a_command_for_help_loads_no_heavy_library(name: str) -> None:
    assert not modules_after([*name.split(), "--help"]) & HEAVY


def test_reading_a_cohort_file_loads_no_model_library(tmp_path: Path) -> None:
    file = tmp_path / "cohort.csv"
    file.write_text("patient_id,adc,her2_ihc\nA1,T-DM1,3+\n", encoding="utf-8")
    assert not modules_after(["cohort", "check", str(file)]) & {"mlflow", "shap", "sklearn", "lightgbm"}


@pytest.mark.parametrize("name", COMMANDS)
def test_every_command_and_option_has_help(name: str) -> None:
    command = COMMANDS[name]
    assert command.help
    for parameter in command.params:
        if isinstance(parameter, click.Option):
            assert parameter.help, f"{name} {parameter.opts}"


@pytest.mark.parametrize("name", COMMANDS)
def test_every_command_and_option_is_in_the_readme(name: str, project_root: Path) -> None:
    readme = (project_root / "README.md").read_text(encoding="utf-8")
    section = readme.partition(f"### `adcr {name}")[2].partition("\n### ")[0].partition("\n## ")[0]
    assert section, f"README.md has no section '### `adcr {name}'"
    for parameter in COMMANDS[name].params:
        if isinstance(parameter, click.Option):
            longest = max(parameter.opts, key=len)
            assert f"`{longest}" in section, f"README.md, adcr {name}: {longest} is missing"


def test_the_first_help_page_names_every_command(capsys: pytest.CaptureFixture[str]) -> None:
    assert adcr.main([]) == 0
    page = capsys.readouterr().out
    for name in adcr.COMMANDS:
        assert f"  {name} " in page


def test_an_unknown_command_gets_one_line_with_the_nearest_name(capsys: pytest.CaptureFixture[str]) -> None:
    assert adcr.main(["scroe"]) == 2
    assert capsys.readouterr().err == "adcr: there is no command 'scroe'. Did you mean 'score'?\n"


def test_a_fault_is_told_under_the_full_name_of_the_command_once(capsys: pytest.CaptureFixture[str]) -> None:
    assert adcr.main(["cohort", "fetch", "nonsense", "-o", "out.csv"]) == 2
    assert capsys.readouterr().err.startswith("adcr cohort fetch: there is no public cohort 'nonsense'")


@pytest.mark.parametrize("name", ["cohort", "catalogue", "prior"])
def test_no_line_of_a_groups_help_is_cut_off(name: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert adcr.main([name, "--help"]) == 0
    assert "..." not in capsys.readouterr().out.replace("[ARGS]...", "")


def test_a_reader_that_has_seen_enough_is_no_error() -> None:
    script = "import sys, adcr\nsys.exit(adcr.main(['cohort', 'list']))\n"
    with subprocess.Popen([sys.executable, "-c", script], stdout=subprocess.PIPE, stderr=subprocess.PIPE) as listing:
        assert listing.stdout
        assert listing.stderr
        listing.stdout.close()
        assert listing.stderr.read() == b""
        assert listing.wait() == 0


@pytest.mark.parametrize(
    "command",
    [
        ["cohort", "simulate", "--patients", "3", "-o", "nowhere/c.csv"],
        ["cohort", "simulate", "--patients", "3", "-o", "c.csv", "--oracle", "nowhere/o.json"],
        ["cohort", "template", "-o", "nowhere/c.csv"],
    ],
    ids=["simulate", "oracle", "template"],
)
def test_a_folder_that_is_not_there_is_told_before_anything_is_written(
    command: list[str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    assert adcr.main(command) == 5
    assert "its folder does not exist. Create the folder, or name another file." in capsys.readouterr().err
    assert list(tmp_path.iterdir()) == []


def test_the_version_is_printed(capsys: pytest.CaptureFixture[str]) -> None:
    assert adcr.main(["--version"]) == 0
    assert capsys.readouterr().out.startswith("adcr ")
