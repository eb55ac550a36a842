"""The MLflow UI of this folder's runs, for this machine only."""

from __future__ import annotations

import contextlib
import json
import os
import signal
import socket
import subprocess
import sys
import tempfile
import urllib.request
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING
from urllib.parse import urlsplit

from features.errors import InputError, TrackingError
from features.orderly_end import ending_orderly
from serving.ui_readiness import direct, wait_until_ready
from training.run_store import ARTIFACTS, default_store, store_exists

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence

    from training.run_store import RunStore

#: The only address that the UI listens on: other machines cannot reach it.
LOOPBACK = "127.0.0.1"
#: Ports tried after the one asked for.
PORTS_TRIED = 50
STOP_SECONDS = 10.0


#: The list of experiments with trained models; without the word, the UI opens on the traces of language models.
_MODEL_TRAINING = "?workflowType=machine_learning"


@dataclass(frozen=True, slots=True)
class UiPlan:
    """How the UI will be served: the store that it shows, its port, and the Host headers that it answers."""

    store: str
    port: int
    allowed_hosts: tuple[str, ...]
    artifacts: Path = field(default_factory=lambda: Path(ARTIFACTS))

    @property
    def url(self) -> str:
        """Address to open in a browser of this machine."""
        return f"http://{LOOPBACK}:{self.port}"

    @property
    def origins(self) -> tuple[str, ...]:
        """Origins of its pages: over http, and over https too where a name is one that the user gave."""
        own = (f"{LOOPBACK}:{self.port}", f"localhost:{self.port}")
        secure = tuple(f"https://{host}" for host in self.allowed_hosts if host not in own)
        return (*(f"http://{host}" for host in self.allowed_hosts), *secure)

    def command(self) -> list[str]:
        """Command line of the MLflow server."""
        return [
            # -P: a module that lies in the working folder is not run.
            *(sys.executable, "-P", "-m", "serving.ui_server"),
            *("--host", LOOPBACK, "--port", str(self.port)),
            *("--backend-store-uri", self.store),
            *("--artifacts-destination", str(self.artifacts)),
            *("--allowed-hosts", ",".join(self.allowed_hosts)),
            *("--cors-allowed-origins", ",".join(self.origins)),
            *("--x-frame-options", "DENY"),
            *("--workers", "1"),
        ]


def show_ui(
    *,
    port: int,
    host_names: Sequence[str],
    open_browser: bool,
    tell: Callable[[str], None],
    store: RunStore | None = None,
) -> None:
    """Serve the UI of a store until Ctrl-C.

    Parameters
    ----------
    port : int
    host_names : sequence of str
        Further names by which a browser reaches this server.
    open_browser : bool
        Also open the address in the browser.
    tell : callable
        Prints a line.
    store : RunStore, optional
        The working folder's by default.

    Raises
    ------
    TrackingError
        There is no store, or the server does not come up.
    """
    shown = store or default_store()
    if shown.uri.startswith(("http://", "https://")):
        # A server is there already; it serves its own UI.
        tell(f"MLflow UI: {shown.uri}")
        _open(shown.uri, wanted=open_browser)
        return
    if not store_exists(shown):
        raise TrackingError(
            "there are no tracked runs in this folder.",
            where=str(shown.folder),
            mend="Go to the folder that 'adcr train' ran in, train a model first, or set MLFLOW_TRACKING_URI.",
        )
    plan = plan_ui(shown.uri, port=port, host_names=host_names, artifacts=shown.folder and shown.folder / ARTIFACTS)
    if plan.port != port:
        tell(f"Port {port} is taken; using {plan.port}.")
    tell("Starting the MLflow UI ...")
    with ending_orderly(), contextlib.suppress(KeyboardInterrupt), running_ui(plan) as server:
        address = runs_page(plan)
        tell(f"MLflow UI: {address} (this machine only; Ctrl-C ends it)")
        _open(address, wanted=open_browser)
        server.wait()
        raise TrackingError("the MLflow server ended by itself.", where=plan.store, mend="Start it again: adcr ui")
    tell("The MLflow UI has ended.")


def runs_page(plan: UiPlan) -> str:
    """Address of the training runs in a UI that is up: those of the experiment that was written to last.

    Parameters
    ----------
    plan : UiPlan

    Returns
    -------
    str
        That of the list of experiments where there is none of adcr.
    """
    query = '{"max_results": 1, "filter": "name != \'Default\'", "order_by": ["last_update_time DESC"]}'
    request = urllib.request.Request(  # noqa: S310 (our own server)
        f"{plan.url}/api/2.0/mlflow/experiments/search", query.encode(), {"Content-Type": "application/json"}
    )
    found = []
    with contextlib.suppress(OSError, ValueError), direct().open(request, timeout=10) as answer:
        found = json.load(answer).get("experiments", [])
    page = f"/#/experiments/{found[0]['experiment_id']}/runs" if found else "/#/experiments"
    return f"{plan.url}{page}{_MODEL_TRAINING}"


def _open(url: str, *, wanted: bool) -> None:
    if wanted:
        import webbrowser

        webbrowser.open(url)


def plan_ui(store: str, *, port: int = 5000, host_names: Sequence[str] = (), artifacts: Path | None = None) -> UiPlan:
    """Choose a free port and the exact Host headers.

    MLflow answers any private address by default (`10.*` as a pattern, which `10.evil.com` meets), so that a hostile
    web page could read the runs through the user's own browser (DNS rebinding). Here each name is exact.

    Parameters
    ----------
    store : str
        Tracking URI of a database or folder.
    port : int
        Port to listen on; the next free one where it is taken.
    host_names : sequence of str
        Further names, with port, by which a browser reaches this server: the end of an SSH tunnel or a proxy.
    artifacts : Path, optional
        Folder of the runs' files; `mlartifacts` by default.

    Returns
    -------
    UiPlan

    Raises
    ------
    InputError
        A host name is a pattern or no host, or no port is free.
    """
    for name in host_names:
        _check_host_name(name)
    free = _free_port(port)
    hosts = (f"{LOOPBACK}:{free}", f"localhost:{free}", *host_names)
    return UiPlan(store, free, tuple(dict.fromkeys(hosts)), artifacts or Path(ARTIFACTS))


@contextlib.contextmanager
def running_ui(plan: UiPlan) -> Iterator[subprocess.Popen[bytes]]:
    """Serve the UI while the block runs; it answers before the block begins and is gone after it.

    Parameters
    ----------
    plan : UiPlan
        What to serve, and where.

    Yields
    ------
    subprocess.Popen
        The server; it ends early only if it fails.

    Raises
    ------
    TrackingError
        The server does not come up.
    """
    with tempfile.TemporaryFile() as log:
        # A session of its own: Ctrl-C reaches adcr alone, which then stops the server once and in order.
        server = subprocess.Popen(  # noqa: S603 (our own interpreter, no shell)
            plan.command(), stdout=log, stderr=log, stdin=subprocess.DEVNULL, env=_environment(), start_new_session=True
        )
        try:
            wait_until_ready(plan, server, log)
            yield server
        finally:
            _stop(server)


_SAFE = {
    "MLFLOW_SERVER_ENABLE_JOB_EXECUTION": "false",
    "MLFLOW_DISABLE_TELEMETRY": "true",
    "MLFLOW_ALLOW_PICKLE_DESERIALIZATION": "false",
    "PYTHONSAFEPATH": "1",
}


def _environment() -> dict[str, str]:
    # Background jobs would start more processes, and settings of another server must not loosen this one.
    kept = {k: v for k, v in os.environ.items() if not k.startswith("MLFLOW_SERVER_")}
    return kept | _SAFE


def _check_host_name(name: str) -> None:
    try:
        parts = urlsplit(f"//{name}")
        sound = bool(parts.hostname) and parts.netloc == name and "@" not in name and (parts.port or 1) > 0
    except ValueError:
        sound = False
    if not sound or set(name) & set("*?[],"):
        raise InputError(
            f"'{name}' is not one exact host name.", where="--host-name", mend="Give it as NAME:PORT, without '*'."
        )


def _free_port(asked: int) -> int:
    if not 1 <= asked <= 65535:
        raise InputError(f"{asked} is not a port.", where="--port", mend="Give a number from 1024 to 65535.")
    for port in range(asked, min(asked + PORTS_TRIED, 65536)):
        with socket.socket() as probe, contextlib.suppress(OSError):
            if os.name != "nt":  # as the server does: a port that was just closed is free
                probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            probe.bind((LOOPBACK, port))
            return port
    raise InputError(
        f"no port from {asked} to {asked + PORTS_TRIED - 1} is free.", where="--port", mend="Name another with --port."
    )


def _stop(server: subprocess.Popen[bytes]) -> None:
    if server.poll() is None:
        server.terminate()
        with contextlib.suppress(subprocess.TimeoutExpired):
            server.wait(STOP_SECONDS)
    if os.name == "nt":
        server.kill()
    else:
        # The worker of a server that died, or that would not stop.
        with contextlib.suppress(ProcessLookupError):
            os.killpg(server.pid, signal.SIGKILL)
    server.wait()
