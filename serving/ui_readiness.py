"""Whether the server of the MLflow UI is up, and guarded."""

from __future__ import annotations

import contextlib
import re
import time
import urllib.error
import urllib.request
from typing import IO, TYPE_CHECKING

from features.errors import TrackingError

if TYPE_CHECKING:
    import subprocess

    from serving.tracking_ui import UiPlan

START_SECONDS = 180.0


def direct() -> urllib.request.OpenerDirector:
    """Give an opener of addresses past any proxy of the environment: this machine asks itself.

    Returns
    -------
    urllib.request.OpenerDirector
    """
    return urllib.request.build_opener(urllib.request.ProxyHandler({}))


def wait_until_ready(plan: UiPlan, server: subprocess.Popen[bytes], log: IO[bytes]) -> None:
    """Wait until the server answers, and see that it is guarded.

    Parameters
    ----------
    plan : UiPlan
    server : subprocess.Popen
    log : binary file
        What the server says.

    Raises
    ------
    TrackingError
        It ended, or does not answer in `START_SECONDS`, or is not guarded.
    """
    deadline = time.monotonic() + START_SECONDS
    opener = direct()
    while time.monotonic() < deadline:
        if server.poll() is not None:
            break
        with contextlib.suppress(OSError), opener.open(f"{plan.url}/health", timeout=2) as answer:
            if answer.status == 200 and _is_guarded(plan):
                return
        time.sleep(0.1)
    raise TrackingError(
        f"the MLflow server did not start ({_last_words(log)}).",
        where=plan.store,
        mend="Look at the store, or let 'mlflow doctor' check the installation.",
    )


def _is_guarded(plan: UiPlan) -> bool:
    """Whether the server refuses a page of another port, as no server that is not guarded does."""
    request = urllib.request.Request(f"{plan.url}/health", headers={"Origin": "http://127.0.0.1:1"})  # noqa: S310
    try:
        with direct().open(request, timeout=2):
            return False
    except urllib.error.HTTPError as refused:
        with refused:
            return refused.code == 403


def _last_words(log: IO[bytes]) -> str:
    """Give the last error that the server named, or its last line."""
    log.seek(0)
    lines = log.read().decode("utf-8", "replace").strip().splitlines()
    errors = [line for line in lines if re.match(r"[\w.]+(Error|Exception)\b.*: ", line)]
    return (errors or lines or ["it said nothing"])[-1][:300]
