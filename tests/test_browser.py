"""The MLflow UI and the reports as a user sees them, in headless Chromium."""

from __future__ import annotations

import base64
import shutil
import time
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from features.report.page import page
from features.synthetic.cohort import simulate_cohort
from serving.tracking_ui import plan_ui, running_ui, runs_page
from training.comparison import compare
from training.report.of_comparison import comparison_document
from training.run_store import default_store
from training.training_session import TrainingRequest, find_model_script, train_file

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

CHROMIUM = shutil.which("chromium") or shutil.which("chromium-browser") or shutil.which("google-chrome")
DRIVER = shutil.which("chromedriver")

pytestmark = [
    pytest.mark.browser,
    pytest.mark.skipif(not (CHROMIUM and DRIVER), reason="there is no Chromium with chromedriver"),
    # One browser and one store for all: they stay on one worker.
    pytest.mark.xdist_group("browser"),
]
PATIENCE_SECONDS = 45
HOSTILE = "<img src=x onerror=document.title='run'>"


@dataclass(frozen=True)
class Runs:
    """A folder with two tracked trainings of one cohort, and where the UI shows them."""

    folder: Path
    run_ids: tuple[str, str]
    ui: str
    page: str


@pytest.fixture(scope="module")
def browser() -> Iterator[Any]:
    from selenium import webdriver
    from selenium.webdriver.chrome.service import Service

    options = webdriver.ChromeOptions()
    options.binary_location = CHROMIUM or ""
    for argument in ("--headless=new", "--no-sandbox", "--disable-gpu", "--disable-dev-shm-usage", "--no-proxy-server"):
        options.add_argument(argument)
    options.set_capability("goog:loggingPrefs", {"browser": "ALL"})
    driver = webdriver.Chrome(options=options, service=Service(DRIVER))
    driver.set_window_size(1600, 1200)
    yield driver
    driver.quit()


@pytest.fixture(scope="module")
def runs(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Runs]:
    folder = tmp_path_factory.mktemp("browser")
    simulate_cohort(150, 71, setting="metastatic").patients.to_csv(folder / "cohort.csv", index=False)
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(folder)
        patch.delenv("MLFLOW_TRACKING_URI", raising=False)
        found = [
            train_file(
                TrainingRequest(
                    folder / "cohort.csv", "objective_response", find_model_script(), name="seen", seed=seed, folds=2,
                    repeats=1, optimism=0, report=folder / f"report_{seed}",
                )
            ).run_id
            for seed in (0, 1)
        ]  # fmt: skip
        plan = plan_ui(f"sqlite:///{folder}/mlflow.db", port=5720, artifacts=folder / "mlartifacts")
        with running_ui(plan):
            yield Runs(folder, (found[0], found[1]), plan.url, runs_page(plan))


def until(found: Callable[[], Any]) -> Any:
    """Give what comes true within the time that a busy machine may need."""
    end = time.monotonic() + PATIENCE_SECONDS
    while True:
        try:
            if result := found():
                return result
        except Exception:
            result = None
        assert time.monotonic() < end, "the page does not show it"
        time.sleep(0.3)


def text_of(browser: Any) -> str:
    return str(browser.execute_script("return document.body.innerText"))


def elements(browser: Any, css: str) -> list[Any]:
    from selenium.webdriver.common.by import By

    return list(browser.find_elements(By.CSS_SELECTOR, css))


def test_the_experiment_opens_on_its_training_runs_which_can_be_selected_and_compared(browser: Any, runs: Runs) -> None:
    browser.get(runs.page)
    until(lambda: "seen on cohort.csv" in text_of(browser))
    boxes = until(
        lambda: len(found := elements(browser, ".ag-row input[aria-label*='toggle row selection']")) >= 2 and found
    )
    for box in boxes[:2]:
        browser.execute_script("arguments[0].click()", box)
    button = until(lambda: [b for b in elements(browser, "button") if b.text == "Compare" and b.is_enabled()])[0]
    browser.execute_script("arguments[0].click()", button)
    shown = until(lambda: "log_loss" in text_of(browser) and "seed" in text_of(browser) and text_of(browser))
    assert "calibration_slope" in shown
    assert "question" in shown


def test_a_runs_plots_and_report_are_among_its_artifacts(browser: Any, runs: Runs) -> None:
    browser.get(f"{runs.ui}/#/experiments/1/runs/{runs.run_ids[0]}/artifacts/plots/calibration.png")
    shown = until(lambda: "calibration.png" in text_of(browser) and text_of(browser))
    assert "report" in shown
    until(lambda: [i for i in elements(browser, "img") if i.size["width"] > 200])


@pytest.mark.parametrize("width", [1280, 400])
def test_the_report_has_no_script_error_and_nothing_beyond_the_window(browser: Any, runs: Runs, width: int) -> None:
    browser.set_window_size(1600, 1200)
    browser.get_log("browser")
    # Below 500 pixels only an emulated screen is as narrow as asked for.
    screen = {"width": width, "height": 900, "deviceScaleFactor": 1, "mobile": width < 500}
    browser.execute_cdp_cmd("Emulation.setDeviceMetricsOverride", screen)
    try:
        browser.get((runs.folder / "report_0" / "report.html").as_uri())
        wide = browser.execute_script("return [document.documentElement.scrollWidth, window.innerWidth]")
        assert wide[0] <= wide[1] == width
        assert "TRIPOD+AI" in text_of(browser)
        assert elements(browser, "figure svg")
        assert not [e for e in browser.get_log("browser") if e["level"] == "SEVERE"]
    finally:
        browser.execute_cdp_cmd("Emulation.clearDeviceMetricsOverride", {})


def test_the_report_prints_to_pdf(browser: Any, runs: Runs) -> None:
    browser.get((runs.folder / "report_0" / "report.html").as_uri())
    printed = base64.b64decode(browser.execute_cdp_cmd("Page.printToPDF", {"printBackground": True})["data"])
    assert printed.startswith(b"%PDF")
    assert len(printed) > 20_000


def test_the_comparison_page_shows_runs_side_by_side_and_hostile_names_as_text(browser: Any, runs: Runs) -> None:
    import msgspec

    found = compare("adcr", store=default_store(runs.folder))
    hostile = tuple(msgspec.structs.replace(r, name=HOSTILE) for r in found.runs)
    place = runs.folder / "compare.html"
    place.write_text(page(comparison_document(type(found)(found.experiment, hostile, found.metrics))), encoding="utf-8")
    browser.get(place.as_uri())
    shown = text_of(browser)
    assert HOSTILE in shown
    assert browser.title == "Runs of the experiment 'adcr'"
    assert not elements(browser, "img")
    assert "seed" in shown
