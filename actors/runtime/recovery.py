"""Reading what is there, never guessing: after a commit whose outcome is unknown or that met another
writer, and before anybody is told that nothing was done."""

import asyncio
from collections import defaultdict
from collections.abc import Iterable

from actors.protocol.codec import fingerprint
from actors.protocol.envelope import Reply
from actors.runtime.announce import Announcer
from actors.runtime.mailbox import Mailbox, receipt_of
from actors.runtime.mailboxes import Mailboxes
from actors.runtime.plan import Item, Plan
from store.chain import Source
from store.errors import WrongPlace
from store.log import TenantLog
from store.record import Record

Asked = dict[tuple[str, str], list[str]]
"""Client ids by room and actor."""


class Recovery:
    """Settles the commands of a failed commit, and confirms refusals."""

    def __init__(self, log: TenantLog, mailboxes: Mailboxes, announcer: Announcer) -> None:
        self._log = log
        self._mailboxes = mailboxes
        self._announcer = announcer

    async def settle(self, items: list[Item]) -> list[Item]:
        """Answer what turns out to be committed; return what is still to be done, in order.

        Raises:
            pymongo.errors.PyMongoError: MongoDB can't be reached; nothing is known yet.
        """
        await self._log.secure()
        # Loading a room brings its projections up to date, which comes before any answer.
        await self._mailboxes.get_all(dict.fromkeys(item.room for item in items))
        committed = await self._committed(items)
        replies: dict[str, list[Reply]] = defaultdict(list)
        remaining: list[Item] = []
        for item in items:
            record = committed.get(item.source)
            if record is None:
                remaining.append(item)
            elif item.reply_to and isinstance(item.raw, dict) and not item.raw.get("quiet"):
                receipt = receipt_of(record, duplicate=False)
                ref = str(item.raw.get("ref", ""))
                replies[item.reply_to].append(Reply(ref, record.client_id, receipt))
        await self._teach_old_commands(remaining)
        for room, head in _heads(committed.values()).items():
            await self._announcer.announce_head(room, head)
        for process, answers in replies.items():
            await self._announcer.answer(process, answers)
        return remaining

    async def confirm(self, plan: Plan) -> None:
        """Answer the refused commands of a plan, before anything of it is written.

        A refusal stands if the command was not committed longer ago than its actor remembers, and if
        nobody else has written to the room since: who is told that nothing was done must be able to
        rely on it.

        Raises:
            WrongPlace: somebody else has written to the room of a refused command.
            pymongo.errors.PyMongoError: MongoDB can't be reached.
        """
        if not plan.refused:
            return
        await self._check_heads(plan)
        asked: Asked = defaultdict(list)
        for refused in plan.refused:
            if refused.mailbox.committed.seq:
                command = refused.command
                asked[(refused.mailbox.room, command.actor)].append(command.client_id)
        await self._teach(plan.mailboxes, asked)
        for refused in plan.refused:
            command = refused.command
            known = refused.mailbox.recall(command, fingerprint(command))
            plan.answer(refused.item, command, known or refused.rejection)

    async def _check_heads(self, plan: Plan) -> None:
        # Where the plan writes too, the write itself shows whether somebody else has written.
        rooms = {refused.mailbox.room for refused in plan.refused} - plan.rooms.keys()
        heads = await asyncio.gather(*map(self._log.head, rooms))
        for room, head in zip(rooms, heads, strict=True):
            if head.hash != plan.mailboxes[room].committed.hash:
                raise WrongPlace(f"another writer was in room {room}")

    async def _committed(self, items: list[Item]) -> dict[Source, Record]:
        sources: dict[int, list[int]] = defaultdict(list)
        for item in items:
            sources[item.source.lane].append(item.source.src)
        found: dict[Source, Record] = {}
        for lane, numbers in sources.items():
            for record in await self._log.committed(lane, min(numbers), max(numbers)):
                found[Source(record.lane, record.src, record.index)] = record
        return found

    async def _teach_old_commands(self, items: list[Item]) -> None:
        asked: Asked = defaultdict(list)
        for item in items:
            if isinstance(item.raw, dict):
                actor, client_id = item.raw.get("actor"), item.raw.get("client_id")
                if isinstance(actor, str) and isinstance(client_id, str):
                    asked[(item.room, actor)].append(client_id)
        loaded = await self._mailboxes.get_all(dict.fromkeys(room for room, _ in asked))
        mailboxes = {
            room: mailbox for room, mailbox in loaded.items() if isinstance(mailbox, Mailbox)
        }
        await self._teach(
            mailboxes, {key: ids for key, ids in asked.items() if key[0] in mailboxes}
        )

    async def _teach(self, mailboxes: dict[str, Mailbox], asked: Asked) -> None:
        for (room, actor), client_ids in asked.items():
            records = await self._log.by_commands(room, actor, client_ids)
            await self._mailboxes.remember(mailboxes[room], records)


def _heads(records: Iterable[Record]) -> dict[str, int]:
    heads: dict[str, int] = {}
    for record in records:
        heads[record.room] = max(record.seq, heads.get(record.room, 0))
    return heads
