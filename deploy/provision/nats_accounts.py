"""Tells a running server about an account; nothing is restarted and no client is cut off."""

import json
from typing import Final

from nats.aio.client import Client
from nats.errors import NoRespondersError, TimeoutError

from deploy.provision.errors import ProvisionError
from deploy.provision.nats_jwt import claims_of, says_the_same

UPDATE: Final = "$SYS.REQ.CLAIMS.UPDATE"
DELETE: Final = "$SYS.REQ.CLAIMS.DELETE"
ANSWER_TIMEOUT_S: Final = 5.0


async def push_account(system: Client, token: str) -> bool:
    """Make the servers know an account as its token says.

    Args:
        system: a connection as the user `system`.
        token: the account's token, signed by the operator.

    Returns:
        False if they knew it so already, and nothing was sent.

    Raises:
        ProvisionError: the servers don't take accounts this way, or refused this one.
    """
    held = await _asked(system, _lookup(claims_of(token)["sub"]), b"")
    if held and says_the_same(held.decode(), token):
        return False
    answer = json.loads(await _asked(system, UPDATE, token.encode()))
    if "error" in answer:
        raise ProvisionError(
            "account_refused",
            f"the NATS server refused an account: {answer['error'].get('description', 'no reason')}",
            "start it with the configuration made from these secrets",
        )
    return True


async def delete_account(system: Client, token: str) -> None:
    """Make the servers forget an account; who is connected to it is cut off.

    Args:
        system: a connection as the user `system`.
        token: the deletion, signed by the operator. An account that is gone already is fine.

    Raises:
        ProvisionError: the servers don't take accounts this way, or refused.
    """
    answer = json.loads(await _asked(system, DELETE, token.encode()))
    if "error" in answer:
        raise ProvisionError(
            "account_kept",
            f"the NATS server kept an account: {answer['error'].get('description', 'no reason')}",
            "start it with the configuration made from these secrets",
        )


def _lookup(account: str) -> str:
    return f"$SYS.REQ.ACCOUNT.{account}.CLAIMS.LOOKUP"


async def _asked(system: Client, subject: str, body: bytes) -> bytes:
    try:
        return (await system.request(subject, body, timeout=ANSWER_TIMEOUT_S)).data
    except (NoRespondersError, TimeoutError) as error:
        raise ProvisionError(
            "no_resolver",
            f"no NATS server answered {subject.rpartition('.')[2].lower()} of accounts",
            "let the server run with a resolver of type full, as in the provisioned configuration",
        ) from error
