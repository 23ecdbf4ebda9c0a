"""The tenant's identity provider, and how long it vouches for those who signed in there.

An administrator says which one. Whose key names another one, or who has none to vouch for him any more,
opens no session and refreshes none.
"""

from dataclasses import replace
from typing import Any, Final, assert_never

from actors.protocol.commands import Command, PutIdentityProvider, RemoveIdentityProvider
from actors.protocol.errors import ErrorCode, Rejection
from actors.protocol.events import IdentityProviderPut, IdentityProviderRemoved
from actors.protocol.permissions import Permission
from actors.tenant.rights import may, refusal_to_give, refusal_to_touch
from actors.tenant.state import IdentityProvider, TenantState, User
from actors.tenant.users import PEOPLE

ProviderCommand = PutIdentityProvider | RemoveIdentityProvider
ProviderEvent = IdentityProviderPut | IdentityProviderRemoved

SHOWN: Final = (
    *("issuer", "client_id", "scopes", "username_claim", "display_name_claim", "email_claim"),
    *("groups_claim", "default_role", "required_acr", "session_hours_max"),
)
"""Settings that an auditor is shown."""
SUBJECT: Final = "#"
"""Between issuer and subject of a key: an issuer has no fragment (OpenID Connect Core 1.0, section 2)."""
NOT_ANY_MORE: Final = "your identity provider is not your organisation's any more"
HOUR_MS: Final = 3_600_000


def decide(state: TenantState, command: ProviderCommand) -> ProviderEvent | Rejection:
    """What a command makes of a tenant's identity provider."""
    match command:
        case PutIdentityProvider():
            return put(state, command)
        case RemoveIdentityProvider():
            return remove(state, command)
        case _:
            assert_never(command)


def evolve(state: TenantState, event: ProviderEvent) -> TenantState:
    """The tenant after it."""
    match event:
        case IdentityProviderPut():
            provider = IdentityProvider(event.settings, event.secret)
            return replace(state, identity_provider=provider)
        case IdentityProviderRemoved():
            return replace(state, identity_provider=None)
        case _:
            assert_never(event)


def put(state: TenantState, command: PutIdentityProvider) -> IdentityProviderPut | Rejection:
    """Set where people sign in."""
    beyond = _refusal(state, command, command.settings)
    if beyond is not None:
        return beyond
    return IdentityProviderPut(
        before=_shown(state.identity_provider),
        after=_shown(IdentityProvider(command.settings, command.secret)),
        settings=command.settings,
        secret=command.secret,
    )


def remove(
    state: TenantState, command: RemoveIdentityProvider
) -> IdentityProviderRemoved | Rejection:
    """Have nobody sign in there any more."""
    beyond = _refusal(state, command, {})
    if beyond is not None:
        return beyond
    if state.identity_provider is None:
        return Rejection(ErrorCode.NOT_FOUND, "there is no identity provider")
    return IdentityProviderRemoved(before=_shown(state.identity_provider))


def _refusal(state: TenantState, command: Command, settings: dict[str, Any]) -> Rejection | None:
    """Why whoever commands may not have people sign in at a provider of these settings. It gives roles,
    and keeps out whom it had let in: nobody does by it what he may not do himself."""
    if not may(state, command, Permission.USERS_WRITE):
        detail = "only an administrator may change the identity provider"
        return Rejection(ErrorCode.FORBIDDEN, detail)
    given = {rule.get("role") for rule in _rules(settings)} | {settings.get("default_role")}
    refusals = [refusal_to_give(state, command, role, None) for role in PEOPLE if role in given]
    refusals += [
        refusal_to_touch(state, command, user)
        for user in state.users.values()
        if user.provider_key and not user.deleted
    ]
    return next(filter(None, refusals), None)


def vouches_for(state: TenantState, user: User) -> bool:
    """Whether a user's own identity provider is still the tenant's; of others there is nothing to ask."""
    if not user.provider_key:
        return True
    provider = state.identity_provider
    issuer, _, _ = user.provider_key.partition(SUBJECT)
    return provider is not None and provider.settings.get("issuer") == issuer


def session_end(state: TenantState, user: User, now_ms: int) -> int:
    """When a session that is opened now must end at the latest, in Unix milliseconds; 0: never."""
    provider = state.identity_provider
    if not user.provider_key or provider is None:
        return 0
    hours = provider.settings.get("session_hours_max")
    return now_ms + hours * HOUR_MS if isinstance(hours, int) else 0


def _shown(provider: IdentityProvider | None) -> dict[str, Any]:
    if provider is None:
        return {}
    settings = provider.settings
    grants = [f"{rule.get('role')}: {rule.get('group')}" for rule in _rules(settings)]
    return {**{name: settings[name] for name in SHOWN if name in settings}, "grants": grants}


def _rules(settings: dict[str, Any]) -> list[dict[str, Any]]:
    return [rule for rule in settings.get("roles", ()) if isinstance(rule, dict)]
