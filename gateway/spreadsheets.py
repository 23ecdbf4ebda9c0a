"""Audit entries as files: CSV, JSON and Excel. No cell of them is ever a formula.

What to guard against: OWASP, "CSV Injection".
"""

import asyncio
import csv
import io
import re
import tempfile
from collections.abc import AsyncIterator, Iterable
from pathlib import Path
from typing import Any, Final

import orjson
import xlsxwriter

from gateway.audit import AuditEntry

COLUMNS: Final = (
    *("seq", "at", "actor", "operation", "object_type", "object_id", "outcome"),
    *("method", "address", "before", "after", "kind", "prev", "hash"),
)
CELL_CHARS_MAX: Final = 32_000
"""Characters of one cell; Excel holds 32767 (its "specifications and limits")."""
SHEET_ROWS_MAX: Final = 1_000_000
"""Rows of one sheet; Excel holds 1048576."""
CUT: Final = " [cut]"
CHUNK_BYTES: Final = 64 * 1024

_FORMULA: Final = re.compile(
    r"[\s'\"\u2018-\u201f\uff02\uff07]*[=+\-@\uff1d\uff0b\uff0d\uff20\u2212|%]|[\t\r\n]"
)
"""How a cell begins that a program might evaluate: also behind quotes and spaces, and in full width."""
_UNSEEN: Final = re.compile(
    "[\x00-\x08\x0b-\x1f\x7f-\x9f\u061c\u200b-\u200f\u2028-\u202e\u2060-\u2069\ufeff\ufffe\uffff]"
)
"""Characters that can't be seen, or turn round what stands beside them."""

Pages = AsyncIterator[list[AuditEntry]]


def cells(entry: AuditEntry) -> list[str]:
    """An entry as texts, one a column: nothing unseen, and nothing too long."""
    facts = entry.facts
    view = entry.view()
    texts = {**view, "object_type": facts.object_type, "object_id": facts.object_id}
    return [_cell(texts[name]) for name in COLUMNS]


def _cell(value: Any) -> str:
    if isinstance(value, dict):
        value = orjson.dumps(value).decode() if value else ""
    seen = _UNSEEN.sub(lambda found: f"\\u{ord(found[0]):04x}", str(value))
    return seen if len(seen) <= CELL_CHARS_MAX else seen[: CELL_CHARS_MAX - len(CUT)] + CUT


def harmless(text: str) -> str:
    """A cell of a CSV file: an apostrophe goes before what might be taken for a formula."""
    return f"'{text}" if _FORMULA.match(text) else text


async def csv_bytes(pages: Pages) -> AsyncIterator[bytes]:
    """The file as CSV (RFC 4180), everything quoted."""
    yield _csv_lines([list(COLUMNS)])
    async for page in pages:
        yield _csv_lines(cells(entry) for entry in page)


def _csv_lines(rows: Iterable[list[str]]) -> bytes:
    text = io.StringIO()
    writer = csv.writer(text, quoting=csv.QUOTE_ALL)
    writer.writerows([harmless(cell) for cell in row] for row in rows)
    return text.getvalue().encode()


async def json_bytes(pages: Pages) -> AsyncIterator[bytes]:
    """The file as one JSON array, an entry a line."""
    separator = b"[\n"
    async for page in pages:
        for entry in page:
            yield separator + orjson.dumps(entry.view())
            separator = b",\n"
    yield b"[]\n" if separator == b"[\n" else b"\n]\n"


async def xlsx_bytes(pages: Pages) -> AsyncIterator[bytes]:
    """The file as an Excel workbook. It is made in a temporary file, a row at a time, and sent then."""
    with tempfile.TemporaryDirectory(prefix="wardroom-export-") as directory:
        path = Path(directory) / "audit.xlsx"
        sheets = _Sheets(path)
        try:
            async for page in pages:
                await asyncio.to_thread(sheets.add, page)
            await asyncio.to_thread(sheets.close)
        finally:
            sheets.let_go()
        with path.open("rb") as file:
            while chunk := await asyncio.to_thread(file.read, CHUNK_BYTES):
                yield chunk


class _Sheets:
    """A workbook that grows. Rows that were written are no longer in memory."""

    def __init__(self, path: Path) -> None:
        options = {
            "constant_memory": True,
            "tmpdir": str(path.parent),
            "strings_to_formulas": False,
            "strings_to_numbers": False,
            "strings_to_urls": False,
        }
        self._workbook = xlsxwriter.Workbook(path, options)
        self._sheet: Any = None
        self._row = SHEET_ROWS_MAX

    def add(self, entries: Iterable[AuditEntry]) -> None:
        """Write entries, on a further sheet when one is full."""
        for entry in entries:
            if self._row >= SHEET_ROWS_MAX:
                self._begin()
            self._write(cells(entry))

    def close(self) -> None:
        """Finish the file."""
        if self._sheet is None:
            self._begin()
        self._workbook.close()

    def let_go(self) -> None:
        """Close what is open, also of a file that will not be finished: the library does so at its end
        only."""
        for sheet in self._workbook.worksheets():
            sheet.row_data_fh.close()

    def _begin(self) -> None:
        self._sheet, self._row = self._workbook.add_worksheet(), 0
        self._write(list(COLUMNS))

    def _write(self, row: list[str]) -> None:
        for column, text in enumerate(row):
            self._sheet.write_string(self._row, column, text)
        self._row += 1
