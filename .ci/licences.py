"""Write the licence of every pinned package that is installed: `make licences`."""

from __future__ import annotations

import re
import sys
from importlib.metadata import PackageNotFoundError, files, metadata
from pathlib import Path

#: Words of a licence's own text, for packages that name it nowhere else.
_TEXTS = (
    ("License agreement for matplotlib", "matplotlib (PSF-like)"),
    ("Apache License", "Apache-2.0"),
    ("PYTHON SOFTWARE FOUNDATION", "PSF-2.0"),
    ("Python Software Foundation", "PSF-2.0"),
    ("Redistribution and use in source and binary forms", "BSD"),
    ("Permission is hereby granted, free of charge", "MIT"),
    ("Permission to use, copy, modify", "ISC"),
)


def pinned(constraints: Path) -> list[str]:
    """Names in a constraints file, in order."""
    lines = constraints.read_text(encoding="utf-8").splitlines()
    return [line.partition("==")[0].strip() for line in lines if "==" in line and not line.startswith("#")]


def licence(name: str) -> str:
    """Licence that a package declares; "" where it is not installed, "unknown" where it declares none."""
    try:
        about = metadata(name)
    except PackageNotFoundError:
        return ""
    expression = about.get("License-Expression", "")
    stated = (about.get("License") or "").strip()
    short = stated if stated not in ("", "UNKNOWN") and "\n" not in stated and len(stated) < 60 else ""
    classifiers = [c for c in about.get_all("Classifier") or [] if c.startswith("License :: OSI Approved :: ")]
    classified = "; ".join(c.rpartition(" :: ")[2] for c in classifiers)
    return expression or short or _by_text(stated) or classified or _by_text(_licence_file(name)) or "unknown"


def _by_text(text: str) -> str:
    """Kind of licence whose words come first in a text."""
    found = [(text.index(words), kind) for words, kind in _TEXTS if words in text]
    return min(found)[1] if found else ""


def _licence_file(name: str) -> str:
    file = next((f for f in files(name) or [] if f.name.upper().startswith(("LICENSE", "COPYING"))), None)
    return file.locate().read_text(encoding="utf-8", errors="replace") if file else ""  # type: ignore[attr-defined]


def table(constraints: Path) -> str:
    """Markdown of all pinned packages."""
    lines = [
        "# Licences of what adcr is built on",
        "",
        "adcr itself is Apache-2.0. Written by `make licences` from what each package of `constraints.txt` declares;",
        "packages of other systems, which are not installed here, are left out.",
        "",
        "| package | licence |",
        "|---|---|",
    ]
    lines += [
        f"| {name} | {re.sub(r'[|<>]', ' ', found)} |" for name in pinned(constraints) if (found := licence(name))
    ]
    return "\n".join([*lines, ""])


if __name__ == "__main__":
    sys.stdout.write(table(Path("constraints.txt")))
