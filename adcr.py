"""The front door: names each command, and loads its module only when it is called.

`adcr --help` imports nothing beyond Python's own start-up; the commands themselves are Click commands in the `cli`
module of each room.
"""

from __future__ import annotations

import errno
import os
import sys
from typing import NamedTuple

RESEARCH_USE = "Research use only; not a treatment recommendation."


#: Exit codes of a full disk met outside any output (a cache, a temporary file), and of too little memory.
NO_ROOM, NO_MEMORY = 5, 6
_FULL = frozenset({errno.ENOSPC, errno.EDQUOT, errno.EFBIG, errno.EROFS})


_INTERRUPTED = "interrupted; nothing half written was left."


class Command(NamedTuple):
    """Where a command lives (`module:attribute`) and its one-line help."""

    target: str
    help: str


COMMANDS: dict[str, Command] = {
    "cohort": Command("features.cli:cohort", "Check, import, simulate and describe cohort files"),
    "catalogue": Command("features.catalogue_cli:catalogue", "Look up biomarkers, ADCs and published trial results"),
    "prior": Command("training.prior_cli:prior", "Build and show the literature prior that training starts from"),
    "train": Command("training.cli:train", "Train, validate and track models of ADC response"),
    "compare": Command("training.cli:compare", "Print the tracked runs of an experiment side by side"),
    "validate": Command("serving.cli:validate", "Judge a trained model on a cohort whose outcomes are known"),
    "score": Command("serving.cli:score", "Score a cohort file with a trained model"),
    "explain": Command("serving.cli:explain", "Write a page on why a cohort, or one patient, has its scores"),
    "ui": Command("serving.cli:ui", "Open the MLflow UI on this machine only"),
}


def usage() -> str:
    """Text of `adcr --help`."""
    width = max(map(len, COMMANDS)) + 2
    lines = [f"  {name:<{width}}{command.help}" for name, command in COMMANDS.items()]
    return "\n".join(
        [
            "Usage: adcr COMMAND [OPTIONS] [ARGUMENTS]",
            "",
            "Predict response to HER2-targeted antibody-drug conjugates from biomarkers.",
            RESEARCH_USE,
            "",
            "Commands:",
            *lines,
            "",
            "Options:",
            "  --version  Show the version and exit",
            "  --help     Show this message and exit",
            "",
            "'adcr COMMAND --help' tells more of a command.",
            "",
        ]
    )


def main(arguments: list[str] | None = None) -> int:
    """Run one command.

    Parameters
    ----------
    arguments : list of str, optional
        The command line without the program's name; `sys.argv[1:]` by default.

    Returns
    -------
    int
        Exit code: 0 success; 2 an input that the user can mend; 4 tracking; 5 output; 6 memory; 130 interrupted.
    """
    arguments = sys.argv[1:] if arguments is None else arguments
    name = arguments[0] if arguments else "--help"
    if name in ("--help", "-h", "help"):
        sys.stdout.write(usage())
        return 0
    if name == "--version":
        from importlib.metadata import version

        sys.stdout.write(f"adcr {version('adcr')}\n")
        return 0
    if name not in COMMANDS:
        from difflib import get_close_matches

        close = get_close_matches(name, COMMANDS, n=1)
        hint = f"Did you mean '{close[0]}'?" if close else "'adcr --help' lists the commands."
        sys.stderr.write(f"adcr: there is no command '{name}'. {hint}\n")
        return 2
    try:
        return _run(name, arguments[1:])
    except KeyboardInterrupt:
        # While Click and the command were still being loaded.
        sys.stderr.write(f"adcr {name}: {_INTERRUPTED}\n")
        return 130


def _run(name: str, arguments: list[str]) -> int:
    # Telemetry must be off before mlflow is first imported, and an old model file must never be unpickled.
    os.environ.setdefault("MLFLOW_DISABLE_TELEMETRY", "true")
    os.environ["MLFLOW_ALLOW_PICKLE_DESERIALIZATION"] = "false"
    os.environ.setdefault("MLFLOW_ENABLE_ARTIFACTS_PROGRESS_BAR", "false")
    from importlib import import_module

    import click

    from features.orderly_end import ending_orderly

    called = f"adcr {name}"
    module, _, attribute = COMMANDS[name].target.partition(":")
    try:
        with ending_orderly():
            command: click.Command = getattr(import_module(module), attribute)
            if isinstance(command, click.Group) and arguments and arguments[0] in command.commands:
                called = f"adcr {name} {arguments[0]}"
            # Without standalone mode, click returns the code of `context.exit(2)` where it would otherwise raise.
            code = command.main(arguments, prog_name=f"adcr {name}", standalone_mode=False)
        return code if isinstance(code, int) else 0
    except click.exceptions.Exit as done:
        return done.exit_code
    except click.ClickException as error:
        error.show()
        return error.exit_code
    except (BrokenPipeError, SystemExit):
        # Where Click meets the closed pipe first it asks for the program's end; nothing else of ours does.
        return _reader_gone()
    except (Exception, KeyboardInterrupt) as error:
        code, line = _told(error)
        if not line:
            raise
        sys.stderr.write(f"{called}: {line.removeprefix(f'{called}: ')}\n")
        return code


def _reader_gone() -> int:
    """Exit code where the reader of our output went away (`adcr ... | head`): no error of the user's."""
    os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
    return 0


def _told(error: BaseException) -> tuple[int, str]:
    """Exit code and line of what a user or the machine brought about; no line for a fault of ours."""
    import click

    from features.errors import AdcrError

    if isinstance(error, AdcrError):
        return error.exit_code, str(error)
    if isinstance(error, KeyboardInterrupt | click.Abort):
        # Click puts its own Abort in the place of a KeyboardInterrupt; a message on it tells what was kept.
        cause = error.__cause__ if isinstance(error.__cause__, KeyboardInterrupt) else error
        return 130, f"interrupted; {cause}." if str(cause) else _INTERRUPTED
    if isinstance(error, MemoryError):
        return NO_MEMORY, "there is not enough memory. Close other programs, or use a smaller file."
    if isinstance(error, OSError) and error.errno in _FULL:
        return NO_ROOM, f"the disk cannot be written ({error.strerror}). Make room, and start again."
    return 1, ""


if __name__ == "__main__":
    sys.exit(main())
