"""After a commit whose outcome is unknown or that met another writer: read what is there, never guess."""

from collections import defaultdict
from collections.abc import Iterable

from actors.protocol.envelope import Reply
from actors.runtime.announce import Announcer
from actors.runtime.mailbox import Mailbox, receipt_of
from actors.runtime.mailboxes import Mailboxes
from actors.runtime.plan import Item
from store.chain import Source
from store.log import TenantLog
from store.record import Record


class Recovery:
    """Settles the commands of a failed commit."""

    def __init__(self, log: TenantLog, mailboxes: Mailboxes, announcer: Announcer) -> None:
        self._log = log
        self._mailboxes = mailboxes
        self._announcer = announcer

    async def settle(self, items: list[Item]) -> list[Item]:
        """Answer what turns out to be committed; return what is still to be done, in order.

        Raises:
            pymongo.errors.PyMongoError: MongoDB can't be reached; nothing is known yet.
        """
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
        asked: dict[tuple[str, str], list[str]] = defaultdict(list)
        for item in items:
            if isinstance(item.raw, dict):
                actor, client_id = item.raw.get("actor"), item.raw.get("client_id")
                if isinstance(actor, str) and isinstance(client_id, str):
                    asked[(item.room, actor)].append(client_id)
        mailboxes = await self._mailboxes.get_all(dict.fromkeys(room for room, _ in asked))
        for (room, actor), client_ids in asked.items():
            mailbox = mailboxes[room]
            if isinstance(mailbox, Mailbox):
                records = await self._log.by_commands(room, actor, client_ids)
                await self._mailboxes.remember(mailbox, records)


def _heads(records: Iterable[Record]) -> dict[str, int]:
    heads: dict[str, int] = {}
    for record in records:
        heads[record.room] = max(record.seq, heads.get(record.room, 0))
    return heads
