"""Whatever somebody with a valid token sends, the answer is one that the OpenAPI document names.

Requests are made from the document by Schemathesis: such as it allows, and such as it does not.
"""

import asyncio
from pathlib import Path
from typing import Any, Final

import orjson
import pytest
import schemathesis
from hypothesis import HealthCheck, Phase, given, settings
from hypothesis.strategies import SearchStrategy
from schemathesis import Case, GenerationMode
from schemathesis.checks import (
    CheckFunction,
    content_type_conformance,
    negative_data_rejection,
    not_a_server_error,
    response_schema_conformance,
    status_code_conformance,
)
from schemathesis.core.parameters import ParameterLocation

from actors.protocol.roles import Role
from tests.e2e.clients import Client
from tests.e2e.system import Company

pytestmark = [pytest.mark.servers, pytest.mark.slow]

DOCUMENT: Final = (Path(__file__).parents[2] / "docs" / "openapi.json").read_bytes()
OPERATIONS: Final = sorted(
    f"{method.upper()} {path}"
    for path, item in orjson.loads(DOCUMENT)["paths"].items()
    for method in item
    if method in {"get", "put", "post", "patch", "delete"}
)
REQUESTS_PER_MODE: Final = 15
CHECKS: Final[list[CheckFunction]] = [
    not_a_server_error,
    status_code_conformance,
    content_type_conformance,
    response_schema_conformance,
    negative_data_rejection,
]


@pytest.mark.parametrize("operation", OPERATIONS)
async def test_every_answer_is_one_that_the_document_names(
    company: Company, operation: str
) -> None:
    await company.hire("fay", Role.TENANT_ADMIN)
    fay = await company.sign_in("fay")
    # Of the objects that a path names there is one, so that not all is answered with 404.
    there = {"room": await fay.open_room(), "user": company.user("bob")}
    method, path = operation.split()

    def ask_much() -> None:
        schema = schemathesis.openapi.from_dict(_without_security(orjson.loads(DOCUMENT)))
        described = schema[path][method]
        can_be_spoilt = {"parameters", "requestBody"} & described.definition.raw.keys()
        for mode in GenerationMode if can_be_spoilt else [GenerationMode.POSITIVE]:
            _ask_much(described.as_strategy(generation_mode=mode), fay, there)

    await asyncio.to_thread(ask_much)


def _ask_much(cases: SearchStrategy[Case[Any]], who: Client, there: dict[str, str]) -> None:
    @settings(
        max_examples=REQUESTS_PER_MODE,
        deadline=None,
        database=None,
        derandomize=True,
        phases=[Phase.generate],
        suppress_health_check=list(HealthCheck),
    )
    @given(case=cases)
    def ask(case: Case[Any]) -> None:
        _ask(case, who, there)

    ask()


def _ask(case: Case[Any], who: Client, there: dict[str, str]) -> None:
    if not _is_spoilt(case, ParameterLocation.PATH):
        case.path_parameters.update(
            {name: there[name] for name in case.path_parameters if name in there}
        )
    case.call_and_validate(
        base_url=str(who.http.base_url),
        headers={"Authorization": f"Bearer {who.access}"},
        checks=CHECKS,
    )


def _is_spoilt(case: Case[Any], part: ParameterLocation) -> bool:
    """Whether a part of the request is one that the document does not allow."""
    made = case.meta.components.get(part) if case.meta is not None else None
    return made is not None and made.mode.is_negative


def _without_security(document: dict[str, Any]) -> dict[str, Any]:
    # The token is ours and valid: made up ones are the subject of other tests.
    operations = (each for item in document["paths"].values() for each in item.values())
    for operation in operations:
        operation.pop("security", None)
    return {name: part for name, part in document.items() if name != "security"}
