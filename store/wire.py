"""Commands that travel together: sent in one go on one connection, answered in order.

mongod takes the messages of a connection one after the other, so the second command needs no word from
the client that the first is done. The driver offers no such call; these are the parts of PyMongo that its
own calls are made of, and not public: the tests of the store notice when a new version changes them.
"""

from collections.abc import Iterable, Sequence
from typing import Any, Final

from pymongo import AsyncMongoClient, MongoClient
from pymongo.helpers_shared import _check_command_response
from pymongo.message import _op_msg

Document = dict[str, Any]

OPERATION: Final = "insert"
"""What the driver calls it when it looks for a server to write to."""
NO_FLAGS: Final = 0
UNCHECKED_SIZE: Final = 0
"""The driver would compare it with the limit of one document; mongod does the same."""


def run_together(
    client: MongoClient[Document], database: str, commands: Sequence[Document]
) -> list[Document]:
    """Run commands on the primary; all of them, whatever becomes of each. Blocks.

    Returns:
        The answers, in order.

    Raises:
        pymongo.errors.PyMongoError: a command failed, or there is no answer: any of them may be done.
    """
    numbers, message = _encoded(client.codec_options, database, commands)
    with client._conn_for_writes(None, OPERATION) as connection:
        connection.send_message(message, UNCHECKED_SIZE)
        # Every answer is read before one is judged: what is left would be taken for another's.
        answers = [connection.receive_message(number).unpack_response()[0] for number in numbers]
        _check(answers, connection.max_wire_version)
    return answers


async def run_together_async(
    client: AsyncMongoClient[Document], database: str, commands: Sequence[Document]
) -> list[Document]:
    """The same on PyMongo's asynchronous client."""
    numbers, message = _encoded(client.codec_options, database, commands)
    async with await client._conn_for_writes(None, OPERATION) as connection:
        await connection.send_message(message, UNCHECKED_SIZE)
        answers = [
            (await connection.receive_message(number)).unpack_response()[0] for number in numbers
        ]
        _check(answers, connection.max_wire_version)
    return answers


def _encoded(codec: Any, database: str, commands: Sequence[Document]) -> tuple[list[int], bytes]:
    encoded = [_op_msg(NO_FLAGS, dict(command), database, None, codec) for command in commands]
    return [number for number, *_ in encoded], b"".join(message for _, message, *_ in encoded)


def _check(answers: Iterable[Document], wire_version: int) -> None:
    # Within the driver's own hold on the connection, so that it learns of a primary that is none.
    for answer in answers:
        _check_command_response(answer, wire_version)
