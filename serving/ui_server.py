"""MLflow's server with our guard before it (`python -P -m serving.ui_server`, which takes what `mlflow server` takes).

MLflow starts uvicorn as a process of its own. Its command line is changed here in two places: the application is the
guarded one, and the folder that uvicorn puts first on Python's path is that of adcr. By default that is the working
folder, so that a file `flask.py` which lies there would be run.
"""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Any

#: What uvicorn would serve, and what it serves here.
_MLFLOW_APPLICATION, _GUARDED_APPLICATION = "mlflow.server.fastapi_app:app", "serving.ui_guard:application"


def guarded(command: list[str]) -> list[str]:
    """Command line of uvicorn with the guarded application, found from adcr's own folder.

    Parameters
    ----------
    command : list of str
        As MLflow makes it.

    Returns
    -------
    list of str

    Raises
    ------
    RuntimeError
        MLflow has changed so that the guard would be left out.
    """
    if command[-1:] != [_MLFLOW_APPLICATION] or command[1:3] != ["-m", "uvicorn"]:
        raise RuntimeError("this MLflow starts its server in a way that adcr cannot guard")
    root = str(Path(__file__).resolve().parent.parent)
    return [command[0], "-P", *command[1:-1], "--app-dir", root, _GUARDED_APPLICATION]


def main() -> None:
    """Start the server."""
    import mlflow.server
    from mlflow.cli import cli

    build = mlflow.server._build_uvicorn_command

    def build_guarded(*arguments: Any, **options: Any) -> list[str]:
        return guarded(build(*arguments, **options))

    mlflow.server._build_uvicorn_command = build_guarded
    cli(["server", *sys.argv[1:]], prog_name="mlflow")


if __name__ == "__main__":
    main()
