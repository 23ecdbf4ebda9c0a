"""What the two drivers must do alike beyond what the other tests here ask of both."""

import pytest
from pymongo.errors import PyMongoError

from deploy.local.stack import LocalStack
from store.driver import Database, DriverName, MongoConnection
from store.mongo import PLATFORM_DATABASE


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
