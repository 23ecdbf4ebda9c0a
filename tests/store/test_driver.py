"""What the two drivers must do alike beyond what the other tests here ask of both."""

import pytest
from pymongo.errors import PyMongoError

from deploy.local.stack import LocalStack
from store.driver import Database, Document, DriverName, MongoConnection
from store.mongo import EVENTS, PLATFORM_DATABASE, tenant_database


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


async def test_commands_run_in_order_and_each_answer_is_told(
    connection: MongoConnection, tenant: str
) -> None:
    name = tenant_database(tenant)
    told: list[tuple[int, int]] = []
    inserts: list[Document] = [
        {"insert": EVENTS, "documents": [{"_id": str(number)}]} for number in range(3)
    ]
    await connection.run_in_order(name, inserts, lambda at, answer: told.append((at, answer["n"])))
    assert told == [(0, 1), (1, 1), (2, 1)]


async def test_a_row_of_commands_ends_where_one_fails_or_its_caller_objects(
    connection: MongoConnection, tenant: str, database: Database
) -> None:
    name = tenant_database(tenant)

    def object_to_the_second(at: int, _: Document) -> None:
        if at == 1:
            raise ConnectionError("enough")

    def insert(key: str) -> Document:
        return {"insert": EVENTS, "documents": [{"_id": key}]}

    with pytest.raises(ConnectionError, match="enough"):
        await connection.run_in_order(name, [insert(key) for key in "abc"], object_to_the_second)
    with pytest.raises(PyMongoError):
        await connection.run_in_order(
            name, [insert("d"), {"drop": EVENTS}, insert("e")], lambda *_: None
        )
    written = await database[EVENTS].find({}, {"_id": 1}).to_list(None)
    assert sorted(document["_id"] for document in written) == ["a", "b", "d"]
