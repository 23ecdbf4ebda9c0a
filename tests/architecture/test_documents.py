"""Documents say what is so: the files, commands, settings and metrics they name are there."""

import re
from pathlib import Path
from typing import Final

import pytest
from prometheus_client import CollectorRegistry

from actors.runtime.metrics import ActorMetrics
from deploy.settings import ProcessSettings
from gateway.metrics import GatewayMetrics
from tests.architecture.documents import (
    OPENAPI,
    OPERATION,
    PREFIX,
    command_line,
    commands_in,
    fault_of,
    markdown,
    openapi_text,
    setting_meanings,
    with_settings_table,
)
from tests.architecture.tree import ROOT, files, relative

README: Final = ROOT / "README.md"
DECISIONS: Final = ROOT / "docs" / "decisions"
README_LINES_MAX: Final = 200
STEPS_OF_A_MESSAGE: Final = 8
PARTS_OF_A_DECISION: Final = ("Context", "Decision", "Consequences", "Alternatives", "References")

FILE_NAME: Final = re.compile(r"`([\w.-]+(?:/[\w.-]+)*(?:/|\.(?:py|md|json|toml|lock)))`")
LINK: Final = re.compile(r"\]\(([^)\s]+)\)")
FENCE: Final = re.compile(r"^ {4}.*$", re.MULTILINE)
VARIABLE: Final = re.compile(rf"\b{PREFIX}[A-Z0-9_]*[A-Z0-9]\b")
documents: Final = pytest.mark.parametrize("document", markdown(), ids=relative)


def anchors(document: Path) -> set[str]:
    """What can be linked to inside a document: its headings, as their links spell them."""
    headings = re.findall(r"^#+ (.+)$", FENCE.sub("", document.read_text()), re.MULTILINE)
    return {re.sub(r"[^\w -]", "", heading.lower()).replace(" ", "-") for heading in headings}


@documents
def test_every_link_leads_somewhere(document: Path) -> None:
    for link in LINK.findall(document.read_text()):
        if "://" in link:
            continue
        path, _, anchor = link.partition("#")
        target = (document.parent / path).resolve() if path else document
        assert target.exists(), link
        assert not anchor or anchor in anchors(target), link


@documents
def test_every_file_it_names_is_there(document: Path) -> None:
    # In a table of a package the package's own name is left out.
    paths = [f"/{relative(path)}" for path in files()]
    missing = [
        name
        for name in FILE_NAME.findall(document.read_text())
        if not any(
            path.endswith(f"/{name}") or f"/{name}".rstrip("/") + "/" in path for path in paths
        )
    ]
    assert missing == []


@documents
def test_every_command_it_shows_can_be_typed(document: Path) -> None:
    tree = command_line()
    faults = [
        (fault, words)
        for words in commands_in(document.read_text())
        if (fault := fault_of(words, tree)) is not None
    ]
    assert faults == []


@pytest.mark.parametrize(
    ("command", "fault"),
    [
        ("up --port 0", None),
        ("room post ROOM TEXT --as somebody", None),
        ("test -k seal --anything", None),
        ("--help", None),
        ("fly", "fly"),
        ("room shout", "shout"),
        ("up --quickly", "--quickly"),
        ("verify --dead", "--dead"),
    ],
)
def test_a_command_that_is_not_there_is_noticed(command: str, fault: str | None) -> None:
    assert fault_of(command.split(), command_line()) == fault


def test_the_readme_can_be_read_in_one_sitting() -> None:
    assert len(README.read_text().splitlines()) <= README_LINES_MAX


def test_the_life_of_a_message_has_eight_steps_and_each_names_its_files() -> None:
    section = README.read_text().partition("## Life of a message\n")[2].partition("\n## ")[0]
    steps = re.split(r"^\d+\. ", section, flags=re.MULTILINE)[1:]
    assert len(steps) == STEPS_OF_A_MESSAGE
    for step in steps:
        assert FILE_NAME.findall(step), step


def test_the_table_of_settings_is_current() -> None:
    text = OPERATION.read_text()
    assert text == with_settings_table(text), "run python -m tests.architecture.regenerate"


def test_every_setting_says_what_it_means() -> None:
    assert setting_meanings().keys() == ProcessSettings.model_fields.keys()


def test_every_variable_of_the_environment_is_documented_and_every_documented_one_is_read() -> None:
    sources = [ROOT / "wardroom", *files(ROOT / "deploy"), *files(ROOT / "tests" / "support")]
    spelled = {
        name
        for path in sources
        if path.suffix != ".md"
        for name in VARIABLE.findall(path.read_text())
    }
    read = spelled | {PREFIX + name.upper() for name in ProcessSettings.model_fields}
    assert set(VARIABLE.findall(OPERATION.read_text())) == read


def test_every_metric_is_documented_and_every_documented_one_is_counted() -> None:
    registry = CollectorRegistry()
    ActorMetrics(registry)
    GatewayMetrics(registry)
    counted = {metric.name for metric in registry.collect()}
    metrics = OPERATION.read_text().partition("## Metrics\n")[2].partition("\n## ")[0]
    assert set(re.findall(r"wardroom_\w+", metrics)) == counted


def test_the_openapi_document_is_the_one_that_was_agreed_on() -> None:
    assert OPENAPI.read_text() == openapi_text(), "run python -m tests.architecture.regenerate"


def test_every_decision_is_listed_under_its_own_title() -> None:
    listed = (DECISIONS / "README.md").read_text()
    rows = re.findall(r"^\| \[(\d{4})\]\((\S+)\) \| (.+) \|$", listed, re.MULTILINE)
    found = [
        (path.name[:4], path.name, path.read_text().splitlines()[0].removeprefix("# "))
        for path in sorted(DECISIONS.glob("[0-9]*.md"))
    ]
    assert [(number, name, f"{number}: {title}") for number, name, title in rows] == found
    assert [number for number, *_ in rows] == [f"{n:04}" for n in range(1, len(rows) + 1)]


@pytest.mark.parametrize("decision", sorted(DECISIONS.glob("[0-9]*.md")), ids=relative)
def test_a_decision_has_its_five_parts_on_half_a_page(decision: Path) -> None:
    text = decision.read_text()
    assert tuple(re.findall(r"^\*\*(\w+)\.\*\*", text, re.MULTILINE)) == PARTS_OF_A_DECISION
    assert len(text.splitlines()) <= 40
