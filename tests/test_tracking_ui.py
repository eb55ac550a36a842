"""`adcr ui`: serves the store that training writes to, to this machine under exact names only, and ends cleanly."""

from __future__ import annotations

import os
import signal
import socket
import subprocess
import sys
import time
import urllib.error
import urllib.request
from contextlib import closing
from typing import TYPE_CHECKING

import pytest

from features.errors import InputError, TrackingError
from serving.tracking_ui import plan_ui, running_ui, show_ui
from serving.ui_server import guarded
from training.run_store import RunStore

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path
    from typing import Any

    from serving.tracking_ui import UiPlan

NAMES_OF_OTHERS = [
    "10.evil.com",
    "192.168.evil.com",
    "172.16.evil.com",
    "10.0.0.1",
    "192.168.1.1:5000",
    "localhost.evil.com",
    "127.0.0.1.evil.com",
    "evil.com",
    "localhost:1",
    "0.0.0.0",
    "0",
    "[::1]:5000",
    "2130706433",
    "127.1",
    "localhost.",
    "LOCALHOST:5000.evil.com",
    "localhost:5000@evil.com",
    "127.0.0.1:5000,evil.com",
    "127.0.0.1%00.evil.com",
    "xn--lcalhost-b4a",
    "*",
]


DIRECT = urllib.request.build_opener(urllib.request.ProxyHandler({}))


@pytest.fixture(scope="module")
def plan(tracked: Any) -> Iterator[UiPlan]:
    store = f"sqlite:///{tracked.folder}/mlflow.db"
    plan = plan_ui(store, port=free_port(), artifacts=tracked.folder / "mlartifacts", host_names=["tunnel.test:8080"])
    with running_ui(plan):
        yield plan


def free_port() -> int:
    with closing(socket.socket()) as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def answer(url: str, **headers: str) -> int:
    request = urllib.request.Request(url, headers={name.replace("_", "-"): value for name, value in headers.items()})
    opener = urllib.request.build_opener(urllib.request.ProxyHandler({}))
    try:
        with opener.open(request, timeout=30) as response:
            return int(response.status)
    except urllib.error.HTTPError as error:
        with error:
            return error.code


def test_the_page_and_the_runs_are_served_to_this_machine(plan: UiPlan) -> None:
    assert answer(plan.url) == 200
    assert answer(f"{plan.url}/api/2.0/mlflow/experiments/search?max_results=1") == 200


def test_the_run_of_this_folder_is_shown_with_its_files(plan: UiPlan, tracked: Any) -> None:
    assert answer(f"{plan.url}/api/2.0/mlflow/runs/get?run_id={tracked.run_id}") == 200
    assert answer(f"{plan.url}/api/2.0/mlflow/registered-models/get?name=test-model") == 200


def test_the_other_names_of_this_machine_are_answered(plan: UiPlan) -> None:
    assert answer(plan.url, Host=f"localhost:{plan.port}") == 200
    assert answer(plan.url, Host="tunnel.test:8080") == 200


@pytest.mark.parametrize("host", NAMES_OF_OTHERS)
def test_a_page_that_reached_us_under_another_name_is_refused(plan: UiPlan, host: str) -> None:
    assert answer(plan.url, Host=host) == 403
    assert answer(f"{plan.url}/api/2.0/mlflow/experiments/search?max_results=1", Host=host) == 403


def test_another_site_may_not_change_anything(plan: UiPlan) -> None:
    url = f"{plan.url}/api/2.0/mlflow/experiments/create"
    request = urllib.request.Request(url, data=b'{"name": "x"}', headers={"Origin": "http://evil.com"}, method="POST")
    with pytest.raises(urllib.error.HTTPError) as refused:
        urllib.request.urlopen(request, timeout=30)
    assert refused.value.code == 403
    refused.value.close()


PAGES_OF_OTHERS = [
    "http://evil.com",
    "https://10.evil.com",
    "http://127.0.0.1.evil.com",
    "null",
    "",
    "http://127.0.0.1:1",
    "http://127.0.0.1",
    "http://localhost:8888",
    "https://localhost:8888",
    "http://[::1]:8888",
    "http://0.0.0.0:5000",
    "file://",
    "vscode-webview://abc",
]


@pytest.mark.parametrize("origin", PAGES_OF_OTHERS)
def test_a_page_from_elsewhere_on_this_machine_or_not_may_neither_read_nor_change(plan: UiPlan, origin: str) -> None:
    url = f"{plan.url}/api/2.0/mlflow/experiments"
    assert answer(f"{url}/search?max_results=1", Origin=origin) == 403
    assert answer(f"{plan.url}/graphql", Origin=origin) == 403
    body = b'{"name": "by a stranger"}'
    for method in ("POST", "OPTIONS"):
        request = urllib.request.Request(f"{url}/create", data=body, headers={"Origin": origin}, method=method)
        with pytest.raises(urllib.error.HTTPError) as refused, DIRECT.open(request, timeout=30):
            pass
        assert refused.value.code == 403
        assert refused.value.headers.get("Access-Control-Allow-Origin") is None
        refused.value.close()
    assert answer(f"{url}/get-by-name?experiment_name=by%20a%20stranger") == 404


def test_the_pages_of_the_ui_itself_may_read_and_change(plan: UiPlan) -> None:
    for host in (f"127.0.0.1:{plan.port}", f"localhost:{plan.port}", "tunnel.test:8080"):
        url = f"{plan.url}/ajax-api/2.0/mlflow/experiments/search"
        request = urllib.request.Request(url, data=b'{"max_results": 1}', headers={"Host": host}, method="POST")
        request.add_header("Origin", f"http://{host}")
        request.add_header("Content-Type", "application/json")
        with DIRECT.open(request, timeout=30) as response:
            assert response.status == 200


@pytest.mark.parametrize(
    ("site", "mode", "destination", "code"),
    [
        ("same-site", "no-cors", "script", 403),
        ("cross-site", "no-cors", "image", 403),
        ("same-site", "navigate", "iframe", 403),
        ("cross-site", "navigate", "document", 200),
        ("same-origin", "cors", "empty", 200),
        ("none", "navigate", "document", 200),
    ],
)
def test_a_link_from_elsewhere_may_be_followed_and_nothing_embedded(
    plan: UiPlan, site: str, mode: str, destination: str, code: int
) -> None:
    headers = {"Sec_Fetch_Site": site, "Sec_Fetch_Mode": mode, "Sec_Fetch_Dest": destination}
    assert answer(f"{plan.url}/version", **headers) == code


def test_a_server_that_would_not_be_guarded_is_not_started() -> None:
    with pytest.raises(RuntimeError, match="cannot guard"):
        guarded([sys.executable, "-m", "hypercorn", "mlflow.server.fastapi_app:app"])


@pytest.mark.slow
@pytest.mark.parametrize("module", ["flask", "uvicorn", "mlflow", "serving", "fastapi"])
def test_the_server_runs_no_module_that_lies_in_the_working_folder(
    module: str, tracked: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / f"{module}.py").write_text(f"open({str(tmp_path / 'ran')!r}, 'w')\n", encoding="utf-8")
    monkeypatch.chdir(tmp_path)
    with running_ui(plan_ui(f"sqlite:///{tracked.folder}/mlflow.db", port=free_port())):
        pass
    assert not (tmp_path / "ran").exists()


def test_the_server_listens_on_the_loopback_address_alone(plan: UiPlan) -> None:
    # Any other address of the loopback network stands for those of other networks.
    with pytest.raises(ConnectionRefusedError), closing(socket.create_connection(("127.0.0.2", plan.port), timeout=5)):
        pass


def test_a_taken_port_gives_way_to_the_next_free_one() -> None:
    with closing(socket.socket()) as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        port = int(taken.getsockname()[1])
        plan = plan_ui("sqlite:///mlflow.db", port=port)
    assert plan.port > port
    assert plan.allowed_hosts == (f"127.0.0.1:{plan.port}", f"localhost:{plan.port}")


@pytest.mark.parametrize("name", ["*", "*.example.org", "10.*", "a,b", "http://example.org", "user@host", "", "host:x"])
def test_a_host_name_that_is_not_one_exact_name_is_refused(name: str) -> None:
    with pytest.raises(InputError, match="not one exact host name"):
        plan_ui("sqlite:///mlflow.db", host_names=[name])


def test_a_folder_without_runs_is_told_in_one_line_and_stays_empty(tmp_path: Path) -> None:
    store = RunStore(f"sqlite:///{tmp_path}/mlflow.db", tmp_path)
    with pytest.raises(TrackingError, match="no tracked runs in this folder") as told:
        show_ui(port=5000, host_names=(), open_browser=False, tell=print, store=store)
    assert "\n" not in str(told.value)
    assert list(tmp_path.iterdir()) == []


def test_a_store_that_is_a_server_is_named_and_no_second_one_is_started() -> None:
    said: list[str] = []
    store = RunStore("http://mlflow.test:5000")
    show_ui(port=5000, host_names=(), open_browser=False, tell=said.append, store=store)
    assert said == ["MLflow UI: http://mlflow.test:5000"]


def test_a_server_that_cannot_start_is_told_with_its_last_words(tmp_path: Path) -> None:
    (tmp_path / "mlflow.db").write_text("this is no database, whatever its name says", encoding="utf-8")
    plan = plan_ui(f"sqlite:///{tmp_path}/mlflow.db", port=free_port())
    with pytest.raises(TrackingError, match=r"did not start.*not a database") as told, running_ui(plan):
        pass
    assert "\n" not in str(told.value)


@pytest.mark.skipif(os.name == "nt", reason="signals of POSIX")
@pytest.mark.parametrize("kind", [signal.SIGINT, pytest.param(signal.SIGTERM, marks=pytest.mark.slow)])
def test_ctrl_c_and_a_request_to_terminate_end_the_command_and_its_server(tracked: Any, kind: signal.Signals) -> None:
    port = free_port()
    command = [sys.executable, "-m", "adcr", "ui", "--port", str(port)]
    environment = {k: v for k, v in os.environ.items() if k != "MLFLOW_TRACKING_URI"}
    with subprocess.Popen(command, cwd=tracked.folder, stdout=subprocess.PIPE, text=True, env=environment) as process:
        assert process.stdout is not None
        try:
            lines = [process.stdout.readline() for _ in range(2)]
            assert lines[1] == (
                f"MLflow UI: http://127.0.0.1:{port}/#/experiments/1/runs?workflowType=machine_learning "
                "(this machine only; Ctrl-C ends it)\n"
            )
            process.send_signal(kind)
            assert process.wait(30) == 0
            assert process.stdout.read() == "The MLflow UI has ended.\n"
        finally:
            process.kill()
    deadline = time.monotonic() + 10
    while time.monotonic() < deadline and listens(port):
        time.sleep(0.1)
    assert not listens(port)


def listens(port: int) -> bool:
    with closing(socket.socket()) as probe:
        return probe.connect_ex(("127.0.0.1", port)) == 0
