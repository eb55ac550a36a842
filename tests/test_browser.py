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


@pytest.fixture(scope="module")
def pages(runs: Runs, bundle_folder: Path) -> dict[str, Path]:
    """Pages of `adcr explain`: a cohort of 250 patients, one of them, and one made of hostile texts."""
    from features.cohort_file import read_cohort
    from features.report.document import Document, Paragraph, Section, SortableTable
    from serving.explaining.cohort_document import cohort_document
    from serving.explaining.explained_cohort import explain_patients
    from serving.explaining.patient_document import patient_document
    from training.model_bundle import read_bundle

    simulate_cohort(250, 72).patients.to_csv(runs.folder / "next.csv", index=False)
    explained = explain_patients(read_bundle(bundle_folder), read_cohort(runs.folder / "next.csv", for_scoring=True))
    parts = (Paragraph(HOSTILE), SortableTable(HOSTILE, (HOSTILE, "b"), ((HOSTILE, "2"), ("a", "10")), ()))
    hostile = Document(1, "explanation", HOSTILE, "", "", HOSTILE, (), (Section("one", HOSTILE, parts),))
    documents = {
        "cohort": cohort_document(explained),
        "patient": patient_document(explained, 3),
        "hostile": hostile,
    }
    found = {}
    for name, document in documents.items():
        found[name] = runs.folder / f"explained_{name}.html"
        found[name].write_text(page(document), encoding="utf-8")
    return found


@pytest.mark.parametrize("width", [1280, 400])
@pytest.mark.parametrize("name", ["cohort", "patient", "hostile"])
def test_an_explanation_has_no_script_error_and_nothing_beyond_the_window(
    browser: Any, pages: dict[str, Path], name: str, width: int
) -> None:
    browser.get_log("browser")
    screen = {"width": width, "height": 900, "deviceScaleFactor": 1, "mobile": width < 500}
    browser.execute_cdp_cmd("Emulation.setDeviceMetricsOverride", screen)
    try:
        browser.get(pages[name].as_uri())
        wide = browser.execute_script("return [document.documentElement.scrollWidth, window.innerWidth]")
        assert wide[0] <= wide[1] == width
        # No cell of a table of bars lies over its neighbour.
        overlapping = browser.execute_script(
            "return [...document.querySelectorAll('table.bars tr')].some(row => [...row.cells].some((cell, i) => i && "
            "cell.getBoundingClientRect().left < row.cells[i - 1].getBoundingClientRect().right - 1))"
        )
        assert not overlapping
        # A narrow table is cards that fit; a wide one lies whole within the window.
        beyond = browser.execute_script(
            "return [...document.querySelectorAll('table.sortable td')].filter(c => c.offsetParent && "
            "c.getBoundingClientRect().right > window.innerWidth + 1).length"
        )
        assert not beyond
        named = browser.execute_script(
            "return [...document.querySelectorAll('table.sortable')].every(t => "
            "t.tBodies[0].rows[0].cells[1].dataset.label === t.tHead.rows[0].cells[1].textContent)"
        )
        assert named
        assert not [e for e in browser.get_log("browser") if e["level"] == "SEVERE"]
    finally:
        browser.execute_cdp_cmd("Emulation.clearDeviceMetricsOverride", {})


def test_the_table_of_patients_sorts_by_a_click_searches_and_goes_on(browser: Any, pages: dict[str, Path]) -> None:
    browser.get(pages["cohort"].as_uri())
    table = elements(browser, "#patients table.sortable")[0]

    def column(number: int) -> list[str]:
        cells = "return [...arguments[0].tBodies[0].rows].map(r => r.cells[arguments[1]].textContent)"
        return list(browser.execute_script(cells, table, number))

    assert len(column(0)) == 25
    button = elements(browser, "#patients th button")[2]
    browser.execute_script("arguments[0].click(); arguments[0].click()", button)
    falling = [float(text) for text in column(2)]
    assert falling == sorted(falling, reverse=True)
    assert table.find_elements("css selector", "th[aria-sort=descending]")
    browser.execute_script("arguments[0].click()", elements(browser, "#patients .on")[0])
    assert float(column(2)[0]) <= falling[-1]
    search = elements(browser, "#patients input")[0]
    search.send_keys("SIM-000123")
    assert column(0) == ["SIM-000123"]
    assert "1 to 1 of 1" in elements(browser, "#patients [role=status]")[0].text


def test_hostile_text_in_an_explanation_is_shown_as_text(browser: Any, pages: dict[str, Path]) -> None:
    browser.get(pages["hostile"].as_uri())
    assert browser.title == HOSTILE
    assert not elements(browser, "img")
    assert text_of(browser).count(HOSTILE) >= 4
    browser.execute_script("arguments[0].click()", elements(browser, "th button")[1])
    assert [e.text for e in elements(browser, "tbody td")] == ["2", "10"]


@pytest.mark.parametrize("name", ["cohort", "patient"])
def test_an_explanation_prints_to_pdf_within_the_width_of_a_sheet(
    browser: Any, pages: dict[str, Path], name: str
) -> None:
    # A4 between its margins, in CSS pixels.
    screen = {"width": 718, "height": 1047, "deviceScaleFactor": 1, "mobile": False}
    browser.execute_cdp_cmd("Emulation.setDeviceMetricsOverride", screen)
    browser.execute_cdp_cmd("Emulation.setEmulatedMedia", {"media": "print"})
    try:
        browser.get(pages[name].as_uri())
        assert browser.execute_script("return document.documentElement.scrollWidth") <= 718
    finally:
        browser.execute_cdp_cmd("Emulation.setEmulatedMedia", {"media": ""})
        browser.execute_cdp_cmd("Emulation.clearDeviceMetricsOverride", {})
    printed = base64.b64decode(browser.execute_cdp_cmd("Page.printToPDF", {"printBackground": True})["data"])
    assert printed.startswith(b"%PDF")
    assert len(printed) > 20_000
