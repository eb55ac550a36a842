"""The declared checks on a cohort before training: code, severity, what is wrong, and what to do about it.

Severities: "serious" may make the result false; "warning" limits what it can say; "note" is worth knowing. None stops
training; each is printed, stands in the report and is silenced by `--ignore CODE`. `RULES` is the whole list.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Literal

from training.validation.records import CheckFinding

Severity = Literal["serious", "warning", "note"]


@dataclass(frozen=True, slots=True)
class Check:
    """A kind of doubt."""

    code: str
    severity: Severity
    #: few words for the list of codes
    title: str
    what: str
    remedy: str

    def finding(self, **details: Any) -> CheckFinding:
        """Fill in the sentences."""
        return CheckFinding(self.code, self.severity, self.what.format(**details), self.remedy.format(**details))


EVENTS_PER_PARAMETER = Check(
    "ADC001",
    "warning",
    "few events per parameter",
    "{events} patients of the rarer outcome for {columns} columns: {ratio:.1f} per column.",
    "Trust the literature and the baselines more than the cohort's own trees, or add patients.",
)
SAMPLE_SIZE = Check(
    "ADC002",
    "warning",
    "fewer patients than a model of its own needs",
    "{patients} patients; Riley's criteria ask for {required:,} to develop a model of {columns} columns at a response "
    "rate of {rate:.0%} (R2 15% of its maximum).",
    "Report the intervals; validate in another cohort with 'adcr validate' before anyone relies on it.",
)
LEAKAGE = Check(
    "ADC003",
    "serious",
    "a column that nearly is the outcome",
    "'{column}' alone separates the outcomes (AUROC {auroc:.2f} in {patients} patients).",
    "Find out when it was measured; if it was after treatment or made from the outcome, leave it out of the file.",
)
ACQUIRED = Check(
    "ADC004",
    "warning",
    "an alteration acquired under treatment",
    "'{column}' is acquired under treatment, no baseline biomarker; it is not learned from.",
    "Keep it for analyses at progression.",
)
AFTER_TREATMENT = Check(
    "ADC005",
    "serious",
    "a column named after something later than the start of treatment",
    "'{column}' sounds like something known only after treatment had begun.",
    "Leave it out of --extra-features unless it was known before.",
)
OUTCOME_BY_SITE = Check(
    "ADC006",
    "warning",
    "response differs between sites",
    "The response rate differs between the values of '{column}' ({lowest:.0%} to {highest:.0%}, p = {p:.1g}).",
    "Ask --question {question}, and look whether patients or the reading of response differ.",
)
OUTCOME_BY_ASSAY = Check(
    "ADC007",
    "warning",
    "response differs between assays or batches",
    "The response rate differs between the values of '{column}' ({lowest:.0%} to {highest:.0%}, p = {p:.1g}).",
    "A biomarker that differs by batch will look predictive; correct for the batch, or check within each.",
)
DUPLICATES = Check(
    "ADC008",
    "serious",
    "the same patient under two names",
    "{pairs} pair(s) of patients share all of their measured values ({columns} columns at least); rows {rows}.",
    "Remove the copies: a patient in both parts of a split makes the model look better than it is.",
)
CONSTANT = Check(
    "ADC009",
    "note",
    "columns without a difference",
    "{number} column(s) have one value in all patients and are not learned from: {columns}.",
    "Nothing to do, unless a value should differ.",
)
SEPARATION = Check(
    "ADC010",
    "warning",
    "a level whose patients all had the same outcome",
    "All {patients} patients with '{column}' {level} {did}.",
    "With so few this may be chance; the model shrinks it, and a probability near 0 or 1 there is not to be trusted.",
)
PRIOR_ONLY = Check(
    "ADC011",
    "note",
    "values that only the literature speaks of",
    "'{column}' covers {share:.0%} of the range that the literature was simulated over ({low:.3g} to {high:.3g}).",
    "Outside the cohort's own range the model repeats the literature; such rows are marked when they are scored.",
)
MISSING_BY_OUTCOME = Check(
    "ADC012",
    "serious",
    "missing values that follow the outcome",
    "'{column}' is missing in {responders:.0%} of responders and {others:.0%} of the others (p = {p:.1g}).",
    "Find out why: a test ordered because of the course of disease tells the outcome by its presence.",
)
ONE_DRUG_PER_SITE = Check(
    "ADC013",
    "warning",
    "drug and place cannot be told apart",
    "Each value of '{column}' gave one ADC only, so a difference between drugs may be one between places.",
    "Do not read the drugs' effects from this cohort.",
)

RULES: tuple[Check, ...] = tuple(
    sorted((value for value in list(globals().values()) if isinstance(value, Check)), key=lambda c: c.code)
)
