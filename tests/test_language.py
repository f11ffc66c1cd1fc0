"""How texts are written: numbers with their zero, abbreviations once in full."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from tests.documents import DOCUMENTS, ROOT

TEXTS = [*DOCUMENTS, *(ROOT / "reports" / "claims" / "families").glob("*.toml")]
SHORT = {"FLOP": "floating-point operation", "GAN": "generative adversarial network", "VAE": "variational autoencoder",
         "PSNR": "peak signal-to-noise ratio", "IoU": "intersection over union", "RMSE": "root mean square error",
         "CI": "continuous integration", "API": "application programming interface"}  # fmt: skip


@pytest.mark.parametrize("path", TEXTS, ids=lambda path: path.name)
def test_no_number_begins_with_its_point(path: Path) -> None:
    text = re.sub(r"`[^`]*`", "", str(path.read_text(encoding="utf-8")))  # type: ignore[attr-defined]
    assert not re.findall(r"(?:^|[\s(\[|])\.\d+.*", text, re.MULTILINE)


@pytest.mark.parametrize("short", SHORT)
def test_the_glossary_says_what_an_abbreviation_stands_for(short: str) -> None:
    (line,) = (
        line for line in (ROOT / "docs/glossary.md").read_text().splitlines() if re.search(rf"^\|.*\b{short}\b", line)
    )
    assert SHORT[short] in line
