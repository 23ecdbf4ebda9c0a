"""What the two drivers must do alike beyond what the other tests here ask of both."""

import pytest
from pymongo.errors import OperationFailure, PyMongoError

from deploy.local.stack import LocalStack
from store.driver import (
    DOCUMENTS_ON_THE_LOOP_MAX,
    Database,
    Document,
    DriverName,
    MongoConnection,
)
from store.mongo import EVENTS, PLATFORM_DATABASE, tenant_database
from tests.store.proxy import LossyProxy
from tests.support.eventually import eventually


async def test_a_connection_answers_and_knows_its_databases(
    stack: LocalStack, driver: DriverName
) -> None:
    opened = MongoConnection(stack.mongo_url, driver=driver)
    await opened.ping()
    assert opened.driver == driver
    assert PLATFORM_DATABASE in await opened.database_names()
    await opened.close()


async def test_a_closed_connection_gives_an_error_and_no_answer(
    stack: LocalStack, driver: DriverName
) -> None:
    opened = MongoConnection(stack.mongo_url, driver=driver)
    await opened.ping()
    await opened.close()
    with pytest.raises(PyMongoError):
        await opened.ping()


async def test_writes_wait_for_a_majority_and_its_journal(
    stack: LocalStack, driver: DriverName, database: Database
) -> None:
    opened = MongoConnection(stack.mongo_url, driver=driver)
    await database.command("profile", 2)
    await opened.database(database.name)["probes"].insert_one({"_id": 1})
    await opened.database(database.name)["probes"].find_one({"_id": 1})
    await database.command("profile", 0)
    await opened.close()
    seen = {
        entry["op"]: entry["command"]
        for entry in await database["system.profile"]
        .find({"ns": f"{database.name}.probes"})
        .to_list(None)
    }
    concern = seen["insert"]["writeConcern"]
    assert (concern["w"], concern["j"]) == ("majority", True)
    assert seen["query"]["readConcern"]["level"] == "majority"


# A few go another way than many.
FEW_AND_MANY = pytest.mark.parametrize("others", [0, DOCUMENTS_ON_THE_LOOP_MAX])


@FEW_AND_MANY
async def test_commands_that_travel_together_run_in_order_and_each_is_answered(
    connection: MongoConnection, tenant: str, others: int
) -> None:
    inserts = [insert(str(number)) for number in range(3)]
    # Had the second run before the first, it would be the first that finds its key taken.
    inserts[1]["documents"] = [{"_id": "0"}, {"_id": "1"}]
    inserts[2]["documents"] += [{"_id": f"other {number}"} for number in range(others)]
    answers = await connection.run_together(tenant_database(tenant), inserts)
    assert [answer["n"] for answer in answers] == [1, 0, 1 + others]
    assert [error["index"] for error in answers[1]["writeErrors"]] == [0]


@FEW_AND_MANY
async def test_of_commands_that_travel_together_each_runs_whatever_becomes_of_the_others(
    connection: MongoConnection, tenant: str, database: Database, others: int
) -> None:
    name = tenant_database(tenant)
    failing = {"insert": "", "documents": [{} for _ in range(others)]}
    with pytest.raises(OperationFailure):
        await connection.run_together(name, [insert("a"), failing, insert("b")])
    # And the next ones get their own answers, not what was left of those.
    (answer,) = await connection.run_together(name, [insert("c")])
    assert answer["n"] == 1
    written = await database[EVENTS].find({}, {"_id": 1}).to_list(None)
    assert sorted(document["_id"] for document in written) == ["a", "b", "c"]


@FEW_AND_MANY
async def test_commands_without_an_answer_fail_and_are_not_repeated(
    stack: LocalStack, driver: DriverName, tenant: str, database: Database, others: int
) -> None:
    name = tenant_database(tenant)

    async def all_written() -> list[Document] | None:
        found = await database[EVENTS].find({}, {"_id": 1}).to_list(None)
        return found if len(found) == 3 + 2 * others else None

    async with LossyProxy(stack.mongo_url) as proxy:
        opened = MongoConnection(proxy.url, driver=driver)
        first, last = insert("a"), insert("c")
        first["documents"] += [{"_id": f"d{number}"} for number in range(others)]
        last["documents"] += [{"_id": f"e{number}"} for number in range(others)]
        await opened.run_together(name, [first])
        proxy.lose_answers()
        with pytest.raises(PyMongoError):
            await opened.run_together(name, [insert("b"), last])
        written = await eventually(all_written, "mongod has run what it was sent")
        await opened.close()
    assert sorted(document["_id"] for document in written)[:3] == ["a", "b", "c"]


def insert(key: str) -> Document:
    """A command that would be refused the second time."""
    return {"insert": EVENTS, "documents": [{"_id": key}]}
