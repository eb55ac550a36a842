"""The declared rules on cohort files: one line per kind of fault, with its code, what becomes of it and the mend.

Severities: "reject" refuses the file; "quarantine" puts the row aside with its fault; "normalised" reads the value in
its usual form and says so; "flag" keeps the row and tells the doubt. `RULES` is the whole list, in code order.
"""

from __future__ import annotations

from features.faults import Rule

_SAVE_AGAIN = "Export or copy the file again."
_EMPTY_CELL = "or leave it empty."

# --- the file itself -------------------------------------------------------------------------------------------------
EMPTY_FILE = Rule("COH001", "reject", "the file is empty.", f"{_SAVE_AGAIN} It needs a header and a row per patient.")
NO_ROWS = Rule("COH002", "reject", "there is a header but no patient.", f"{_SAVE_AGAIN} It needs one row per patient.")
NOT_A_FILE = Rule("COH003", "reject", "this is {kind}.", "Name a CSV, TSV, Excel or Parquet file.")
UNKNOWN_FORMAT = Rule(
    "COH004", "reject", "'{suffix}' is not a format that adcr reads.", "Use .csv, .tsv, .xlsx or .parquet."
)
OTHER_FORMAT = Rule("COH005", "reject", "named {suffix}, but its content is {content}.", "{remedy}")
GZIP_BROKEN = Rule("COH006", "reject", "the gzip archive is cut off or corrupt ({reason}).", _SAVE_AGAIN)
BOMB = Rule(
    "COH007",
    "reject",
    "it expands {ratio} times, as no table does; reading stopped after {size} MiB.",
    "If it is sound, unpack it first, or raise {setting}.",
)
TOO_LARGE = Rule(
    "COH008", "reject", "{number:,} {what}, more than the cap of {cap:,}.", "Split the file, or raise {setting}."
)
PARQUET_BROKEN = Rule("COH009", "reject", "it is no readable Parquet file ({reason}).", _SAVE_AGAIN)
NESTED_COLUMN = Rule(
    "COH010", "reject", "a column of type {kind} does not hold one value per patient.", "Write one value per cell."
)
EXCEL_BROKEN = Rule("COH011", "reject", "it is no readable xlsx workbook ({reason}).", _SAVE_AGAIN)
EXCEL_LOCKED = Rule(
    "COH012",
    "reject",
    "the workbook is password-protected or in the old .xls format.",
    "Save it as .xlsx without a password, or as CSV.",
)
SEVERAL_SHEETS = Rule("COH013", "reject", "the workbook has {number} sheets: {sheets}.", "Name one with --sheet.")
NO_SUCH_SHEET = Rule("COH014", "reject", "there is no sheet '{sheet}'.", "The sheets are {sheets}.")
FORMULA_UNCOMPUTED = Rule(
    "COH015",
    "reject",
    "{number:formula cell} without a stored value, the first {cell}.",
    "Open the workbook in a spreadsheet program, let it calculate, and save it.",
)
LFS_POINTER = Rule(
    "COH016", "reject", "this is a Git LFS pointer, not the data.", "Run `git lfs pull`, or download the file itself."
)
WEB_PAGE = Rule("COH017", "reject", "this is a web page, not a table.", "Download the file itself.")
MERGED_HEADER = Rule(
    "COH018", "reject", "cells of the header are merged ({cells}).", "Unmerge them; each column needs its own name."
)
UNREADABLE = Rule("COH019", "reject", "the file cannot be read ({reason}).", "Check that it exists and may be read.")

# --- encoding and structure ------------------------------------------------------------------------------------------
ENCODING = Rule(
    "COH020",
    "reject",
    "byte 0x{byte:02X} at position {offset} (line {line}) is not {encoding}.",
    "Save it as UTF-8, or name its encoding: --encoding latin-1.",
)
BAD_QUOTE = Rule("COH021", "reject", "a cell in row {at} {problem}.", "Close the quote, or double it inside text.")
ALL_ROWS_LONG = Rule(
    "COH022",
    "reject",
    "every row has more cells ({cells}) than the header ({columns}).",
    "Name every column, or remove the extra column (often a row number).",
)
NO_HEADER = Rule("COH023", "reject", "the first row holds values ({held}), not column names.", "Add a header row.")
LONG_ROW = Rule(
    "COH024", "quarantine", "the row has {cells} cells, the header {columns}.", "Quote cells that hold the delimiter."
)
SHORT_ROW = Rule(
    "COH025", "quarantine", "the row has {cells} cells, the header {columns}.", "Add the cells that are missing."
)
MERGED_CELL = Rule("COH026", "quarantine", "the row is part of merged cells ({cells}).", "Unmerge and fill each row.")
BLANK_ROWS = Rule("COH027", "normalised", "{number:blank row} passed over.")
READ_AS = Rule("COH028", "normalised", "read as {what}.")
UNKNOWN_ENCODING = Rule("COH029", "reject", "there is no text encoding '{encoding}'.", "Try utf-8, latin-1 or cp1252.")

# --- header ----------------------------------------------------------------------------------------------------------
DUPLICATE_COLUMN = Rule(
    "COH040", "reject", "two columns have the same name (columns {first} and {second}).", "Rename or remove one."
)
DUPLICATE_BUT_CASE = Rule(
    "COH041", "reject", "differs from column '{other}' only in case or spaces.", "Rename or remove one."
)
LOOKALIKE_NAME = Rule(
    "COH042",
    "reject",
    "the name holds {characters}, which only look like Latin letters.",
    "Type the name anew: {meant}.",
)
MISSING_COLUMN = Rule(
    "COH043",
    "reject",
    "the required column '{needed}' is missing.{hint}",
    "Rename the column that holds {meaning}, or map it with --map.",
)
AMBIGUOUS_NAME = Rule(
    "COH044", "reject", "the name may mean {meanings}.", "Rename it to one of these, or map it with --map."
)
SAME_MEASURE_TWICE = Rule(
    "COH045",
    "reject",
    "read as '{measure}', and so is column '{other}'.",
    "Rename or remove one, or say with --map which to read.",
)
NO_BIOMARKER = Rule(
    "COH046",
    "reject",
    "no column is a biomarker of the catalogue.",
    "`adcr catalogue biomarkers` lists the names; map others with --map.",
)
NAME_TRIMMED = Rule("COH047", "normalised", "spaces around the name were taken off.")
NEAR_NAME = Rule(
    "COH048", "flag", "the name is unknown, so the column is not used.", "Did you mean '{near}'? Rename it if so."
)
CORE_MISSING = Rule("COH049", "flag", "no column measures {biomarker}, a core biomarker.", "Add one of {measures}.")
OUTCOME_DROPPED = Rule(
    "COH050", "flag", "an outcome column has no place in a file to score; it was dropped.", "Remove it to be safe."
)
MAPPED_COLUMN_ABSENT = Rule(
    "COH051",
    "reject",
    "the mapping reads '{needed}' from it, but the file has no such column.{hint}",
    "Correct the mapping.",
)
UNIT_CONFLICT = Rule(
    "COH052",
    "reject",
    "declared in {unit}, which {number:value} cannot be, such as {value}.",
    "Correct the unit in the mapping.",
)
MAPPING_PASSED_OVER = Rule(
    "COH053", "flag", "it also reads as '{measure}', which the mapping takes from '{other}'; it is not used."
)
MIXED_ORIGIN = Rule(
    "COH054",
    "flag",
    "rows are marked {marks}; the whole cohort counts as {kind}.",
    "Keep simulated rows in a file apart.",
)

OTHER_COLUMNS = Rule(
    "COH055", "reject", "its columns are not those of '{first}'.", "Files of one folder need the same header."
)

# --- identifiers and treatment ---------------------------------------------------------------------------------------
ID_BLANK = Rule("COH060", "quarantine", "there is no patient id.", "Fill it in.")
ID_INVISIBLE = Rule(
    "COH061", "quarantine", "the id holds an invisible or control character (U+{point}).", "Type the id anew."
)
ID_PATH = Rule("COH062", "quarantine", "the id reads like a file path.", "Use letters, digits, '-', '_' or '.'.")
ID_FORMULA = Rule(
    "COH063", "quarantine", "the id begins like a spreadsheet formula.", "Use an id that begins with a letter or digit."
)
ID_MARKUP = Rule("COH064", "quarantine", "the id holds markup ('<' or '>').", "Use letters, digits, '-', '_' or '.'.")
ID_COMPOSED = Rule("COH065", "normalised", "{number:id} brought to one Unicode form (NFC).")
ID_PERSONAL = Rule(
    "COH066",
    "flag",
    "{number:id} like {kind}.",
    "Replace them with study numbers before sharing anything made from this file.",
)
DUPLICATE_MERGED = Rule("COH067", "normalised", "{number:row} exactly like an earlier one, merged with it.")
DUPLICATE_DIFFERS = Rule(
    "COH068",
    "quarantine",
    "the same patient and ADC also stand in {others} with other values.",
    "Keep the one that is right, or give each patient an id of their own.",
)
ADC_BLANK = Rule("COH069", "quarantine", "there is no ADC.", "Name it, or write 'none' for a comparator arm.")
ADC_UNKNOWN = Rule(
    "COH070", "quarantine", "{value} is not one ADC of the catalogue.{hint}", "`adcr catalogue adcs` lists the names."
)
PARTNERS_MOVED = Rule("COH071", "normalised", "{number:value} with other drugs, which went to partner_drugs.")

# --- values ----------------------------------------------------------------------------------------------------------
LEVEL_UNKNOWN = Rule("COH080", "quarantine", "{value} is not a level.", f"Use {{levels}}, {_EMPTY_CELL}")
LEVEL_RANGE = Rule("COH081", "quarantine", "{value} is a range, not one level.", f"Use {{levels}}, {_EMPTY_CELL}")
LEVEL_UNSEEN = Rule(
    "COH082", "flag", "{value} is none of the known levels ({levels}); read as missing.", "Map it with --map."
)
UNDETERMINED = Rule("COH083", "flag", "{value} is neither yes nor no; read as missing.")
NOT_A_NUMBER = Rule(
    "COH084", "quarantine", "{value} is not a number.", f"Write a plain number such as 2.5, {_EMPTY_CELL}"
)
BOUND = Rule(
    "COH085", "quarantine", "{value} is a bound or a range, not a number.", f"Write the number itself, {_EMPTY_CELL}"
)
OUT_OF_RANGE = Rule("COH086", "quarantine", "{value} is outside {low} to {high}{unit}.", f"Correct it, {_EMPTY_CELL}")
NOT_FINITE = Rule("COH087", "quarantine", "{value} is no finite number.", f"Correct it, {_EMPTY_CELL}")
THOUSANDS = Rule(
    "COH088",
    "quarantine",
    "{value} has a comma that may separate thousands.",
    "Write it without, with a decimal point.",
)
DECIMAL_MIXED = Rule(
    "COH089",
    "reject",
    "decimal commas ({comma}) and decimal points ({point}) are mixed.",
    "Write one of them throughout.",
)
DECIMAL_COMMA = Rule("COH090", "normalised", "{number:value} with a decimal comma, read as a decimal number.")
PERCENT_SIGN = Rule(
    "COH091",
    "quarantine",
    "{value} has a percent sign, other values have none.",
    "Write all in one unit, or declare it with --map.",
)
PERCENT_READ = Rule("COH092", "normalised", "{number:value} with a percent sign, read as {unit}.")
UNIT_DOUBT = Rule(
    "COH093",
    "flag",
    "all values are at most 1, though the unit is percent; they may be fractions.",
    'If so, declare unit = "fraction" with --map.',
)
SENTINEL = Rule(
    "COH094", "quarantine", "{value} is a code for missing in many databases.", "Leave missing cells empty."
)
OTHER_UNIT = Rule("COH095", "quarantine", "{value} is not in {unit}.", f"Convert it, {_EMPTY_CELL}")
DATE_FORMAT = Rule("COH096", "quarantine", "{value} is not an ISO date.", f"Write it as 2024-03-31, {_EMPTY_CELL}")
DATE_SERIAL = Rule(
    "COH097", "quarantine", "{value} is a spreadsheet's number for a date.", "Format the column as text, as 2024-03-31."
)
DATE_FUTURE = Rule("COH098", "quarantine", "{value} lies in the future.", f"Correct it, {_EMPTY_CELL}")
SPELLING = Rule("COH099", "normalised", "{number:value} read by the usual form: {changes}.")
MISSING_WORD = Rule("COH100", "normalised", "{number:value} read as missing: {words}.")
CHARACTERS = Rule("COH101", "normalised", "{number:number} in unusual characters, such as {value}.")
NO_PREDICTOR = Rule("COH102", "quarantine", "every biomarker is missing.", "Fill in at least one.")
CONSTANT = Rule("COH103", "flag", "every value is {value}, so the column cannot tell patients apart.")
UNIT_READ = Rule("COH104", "normalised", "{number:value} with the unit ({unit}), which was taken off.")
DATE_IN_NUMBER = Rule("COH105", "quarantine", "{value} is a date, not a number.", f"Write the number, {_EMPTY_CELL}")
CONVERTED = Rule("COH106", "normalised", "{number:value} converted from {unit_from} to {unit}.")
STANDARDISED = Rule(
    "COH107",
    "normalised",
    "standardised over {number:value} of this file (mean {mean}, standard deviation {spread}).",
)
MAPPED_VALUES = Rule("COH108", "normalised", "{number:value} read by the mapping: {changes}.")
CANNOT_STANDARDISE = Rule(
    "COH109",
    "reject",
    "{number:value} without spread cannot be standardised.",
    "Remove `standardise` from the mapping.",
)

# --- contradictions --------------------------------------------------------------------------------------------------
IHC_LOW_ISH_POSITIVE = Rule(
    "COH110", "flag", "{value} although ISH is group 1 (ratio >= 2.0 and copies >= 4.0).", "Check both assays."
)
IHC_HIGH_ISH_NEGATIVE = Rule(
    "COH111", "flag", "3+ although ISH is group 5 (ratio < 2.0 and copies < 4.0).", "Check both assays."
)
RATIO_DIFFERS = Rule(
    "COH112",
    "quarantine",
    "{value} differs by more than 5% from HER2 copies over CEP17 copies ({quotient}).",
    "Correct the ratio, erbb2_copy_number or her2_cep17_copies.",
)
ISH_DIFFERS = Rule(
    "COH113", "flag", "stated {stated}, but ratio and copies are group {group} ({computed}).", "Check the ISH report."
)
LOW_LABEL_IHC_HIGH = Rule("COH114", "flag", "HER2-low although IHC is 3+.", "Check her2_class and her2_ihc.")
ER_DIFFERS = Rule(
    "COH115", "flag", "stated {stated}, but {percent}% of cells stain.", "ASCO/CAP counts 1% or more as positive."
)
STATUS_DIFFERS = Rule(
    "COH116", "flag", "stated {stated}, but IHC and ISH give {computed} by ASCO/CAP; the stated one was kept."
)
RESPONSE_DIFFERS = Rule(
    "COH117", "quarantine", "{value} contradicts best_response {best}.", "CR and PR are responses; correct one of them."
)
NOT_EVALUABLE = Rule(
    "COH118",
    "normalised",
    "{number:patient} not evaluable (NE): missing in objective_response; its denominator is {denominator}.",
)

# --- public studies --------------------------------------------------------------------------------------------------
ONE_SAMPLE = Rule(
    "COH130",
    "normalised",
    "{number:further sample} of {patients:patient} left out: primary tumours go before metastases.",
    "Use --per sample to keep all.",
)
NOT_ON_PANEL = Rule(
    "COH131", "normalised", "missing in {number:sample} sequenced with {panels}, which {gene} is not on."
)
VARIANTS_LEFT_OUT = Rule(
    "COH132", "normalised", "{number:variant} left out as the portal does (silent, intron, UTR, flank, intergenic)."
)
PARTIAL_DELETION = Rule(
    "COH133", "normalised", "{number:copy-number call} of -1.5 (partial deletion) read as -2, as the portal does."
)
NO_SHALLOW_CALLS = Rule(
    "COH134",
    "normalised",
    "the study calls no single-copy loss (-1), so that a call of 0 leaves the deletion unknown.",
)
NO_TREATMENT = Rule(
    "COH135", "flag", "the study names no treatment; adc is 'none' for every patient.", "Say otherwise with --adc."
)
UNKNOWN_PANEL = Rule(
    "COH136",
    "flag",
    "the gene panel '{panel}' of {number:sample} is not known; only genes altered in some of them count as on it.",
    "Put its file data_gene_panel_<name>.txt into the study folder.",
)
AFTER_TREATMENT = Rule(
    "COH138",
    "normalised",
    "{number:sample} left out, taken on or after treatment by the study's own word: no baseline.",
)
ALL_AFTER_TREATMENT = Rule(
    "COH141",
    "flag",
    "every sample was taken on or after treatment by the study's own word, so this is no baseline.",
    "Do not train on it.",
)
NO_DISCRETE_CALLS = Rule(
    "COH139",
    "reject",
    "it holds values such as {value}, which are no discrete copy-number calls (-2 to 2).",
    "Name the discrete file in its meta file, or take this one out of the folder.",
)
UNKNOWN_CALLS = Rule("COH140", "flag", "{number:cell} such as {value} read as missing: no copy-number call (-2 to 2).")
EXPRESSION_READ = Rule(
    "COH137",
    "normalised",
    "{number:expression measure} read from {file} for {patients:patient}; z-scores {reference}.",
)

STATUS_COMPARED = Rule(
    "COH142",
    "normalised",
    "known as stated and from IHC or ISH by ASCO/CAP in {both:row}: {agree:,} agree, {stated:,} positive only as "
    "stated, {computed:,} only by the assays; the stated one is kept.",
)
NOTHING_KNOWN = Rule(
    "COH143",
    "normalised",
    "{number:row} of {rows:,} without a biomarker in any file of the study, so put aside.",
)
SHIPPED_MAPPING = Rule(
    "COH144",
    "flag",
    "its names leave doubts, so it is read by the shipped mapping {mapping}, all of whose columns are there.",
    "Name another with --map.",
)
POST_TREATMENT_KEPT = Rule(
    "COH145",
    "flag",
    "{number:sample} taken on or after treatment by the study's own word: no baseline.",
    "Leave out --per sample before you train on it.",
)
EXPRESSION_UNREAD = Rule(
    "COH146", "flag", "no expression was read from {file}: {why}.", "Correct it, or take it out of the folder."
)
UNKNOWN_IDS = Rule(
    "COH147", "flag", "{number:id} of {file} not in {other}, and not used.", "Check that both write ids alike."
)
ROWS_DIFFER = Rule(
    "COH148", "flag", "{number:id} of {file} in rows that differ; one of them counts.", "Remove the others."
)

# --- several cohorts together ----------------------------------------------------------------------------------------
PATIENT_TWICE = Rule(
    "COH150",
    "reject",
    "{number:patient id} of {first} (rows {rows}) also in {second}.",
    "Use --prefix-ids if they are different people; else remove them from one file.",
)
REFERENCES_DIFFER = Rule(
    "COH151",
    "reject",
    "its z-scores refer to {told}, so that 0 means another tumour in each.",
    "Use --reference her2-positive, which standardises each anew over its HER2-positive patients.",
)
LABEL_TWICE = Rule(
    "COH152",
    "reject",
    "{first} and {second} both call patients '{label}'.",
    "Name each with --name, in the order of the files.",
)
ORIGINS_DIFFER = Rule(
    "COH153",
    "reject",
    "the patients are {told}.",
    "Keep them apart, or use --mixed-origins; all then count as invented.",
)
UNMATCHED = Rule("COH154", "flag", "{number:row} of {table} belong to no patient, and were not used.")

#: Every rule by its code.
RULES: dict[str, Rule] = {
    rule.code: rule
    for rule in sorted((r for r in list(globals().values()) if isinstance(r, Rule)), key=lambda r: r.code)
}
