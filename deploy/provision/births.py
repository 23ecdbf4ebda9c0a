"""The births of ROOM streams, each with a number of its own.

A record's source is (generation, sequence), and a stream that was lost starts at sequence 1 again: if
it came back under its old number, its messages would pass for ones already recorded. So a number is
taken in MongoDB before the stream is made, and no number is ever used twice, whoever crashes or races.
"""

from typing import Final

from nats.js import JetStreamContext
from nats.js.api import StreamInfo

from actors.protocol.subjects import room_stream
from deploy.provision.errors import ProvisionError
from deploy.provision.nats_streams import (
    align_stream,
    create_stream,
    find_stream,
    generation_of,
    room_config,
)
from store.driver import Collection, Document

BIRTHS: Final = "births"
"""The last number taken. It is ahead of `generation` when a birth was prepared and not completed."""
BIRTH_ATTEMPTS_MAX: Final = 10


async def ensure_room_stream(
    js: JetStreamContext, tenants: Collection, tenant: str, replicas: int
) -> Document:
    """Make a tenant's ROOM stream if it is missing, else bring it to its configuration.

    Args:
        js: a connection as the user `provisioner`.
        tenants: the platform's collection of tenants.
        tenant: its id; the document is there.
        replicas: copies of the stream.

    Returns:
        The tenant's document, whose `generation` is that of the stream.

    Raises:
        ProvisionError: the stream differs in what can't be changed, or others keep interfering.
    """
    for _ in range(BIRTH_ATTEMPTS_MAX):
        row = await _row(tenants, tenant)
        held = await find_stream(js, room_stream(tenant))
        if held is None:
            held = await _born(js, tenants, row, replicas)
        if held is None:
            continue
        if generation_of(held) < row["generation"]:
            # An older state of the stream came back: it hands out sequences that were used already.
            if not await take_number(tenants, row):
                continue
            generation = row[BIRTHS] + 1
        else:
            generation = generation_of(held)
        await align_stream(js, held, room_config(tenant, row["lanes"], generation, replicas))
        await tenants.update_one(
            {"_id": tenant}, {"$max": {"generation": generation, BIRTHS: generation}}
        )
        return await _row(tenants, tenant)
    raise ProvisionError(
        "birth_contended",
        f"stream {room_stream(tenant)} kept changing while it was being made",
        "see that nobody deletes streams, and run it again",
    )


async def _born(
    js: JetStreamContext, tenants: Collection, row: Document, replicas: int
) -> StreamInfo | None:
    """The new stream; None if another provisioner is making it too."""
    if not await take_number(tenants, row):
        return None
    return await create_stream(js, room_config(row["_id"], row["lanes"], row[BIRTHS] + 1, replicas))


async def take_number(tenants: Collection, row: Document) -> bool:
    """Take the number after the one in `row`; False if somebody did so since `row` was read."""
    result = await tenants.update_one(
        {"_id": row["_id"], BIRTHS: row[BIRTHS]}, {"$inc": {BIRTHS: 1}}
    )
    return bool(result.modified_count == 1)


async def _row(tenants: Collection, tenant: str) -> Document:
    row = await tenants.find_one({"_id": tenant})
    if row is None:
        raise ProvisionError("no_such_tenant", f"there is no tenant {tenant!r}", "create it first")
    return row
