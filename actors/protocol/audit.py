"""What a record of the tenant's chain says to an auditor: who did what, to what, how, and what changed.

Nothing is shown that is not listed here. A kind that is not listed shows that it happened and no more, so
a new kind can't bring a secret to light by being forgotten.
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any, Final, Literal

import orjson

Outcome = Literal["done", "refused"]
DONE: Final = "done"
REFUSED: Final = "refused"

BEFORE: Final = "before"
AFTER: Final = "after"
"""Where events that change something keep what was and what is."""


@dataclass(frozen=True, slots=True)
class AuditKind:
    """How a kind is read. `object_field` is the field that names what was acted on; `values` are the
    fields that may be shown, of the content itself and of its `before` and `after`.

    `method` is by which door it comes in where the record does not say it; None where there are several.
    """

    operation: str
    object_type: str
    object_field: str
    values: frozenset[str] = frozenset()
    outcome: Outcome = DONE
    method: str | None = None


def _kind(operation: str, object_field: str, values: str = "", **more: Any) -> AuditKind:
    object_type, _, _ = operation.partition(".")
    return AuditKind(operation, object_type, object_field, frozenset(values.split()), **more)


EVIDENCE_READ: Final = "evidence_read"
EVIDENCE_TYPES: Final = frozenset({"room", "audit_log", "room_list", "user_list"})
"""What evidence is about; which of them, stands in the record."""
DIRECTORY_VALUES: Final = (
    "servers flavour tls bind_dn base_dn group_base user_filter group_filter netbios_domain grants"
)
PROVIDER_VALUES: Final = (
    "issuer client_id scopes username_claim display_name_claim email_claim groups_claim default_role "
    "required_acr session_hours_max grants"
)
AUDIT_KINDS: Final[Mapping[str, AuditKind]] = {
    "user_created": _kind(
        "user.create", "user", "username email display_name role custom_role provider_key"
    ),
    "user_changed": _kind(
        "user.change", "user", "username email display_name role custom_role clearance"
    ),
    "user_disabled": _kind("user.disable", "user", "reason"),
    "user_enabled": _kind("user.enable", "user"),
    "user_deleted": _kind("user.delete", "user", "username email reason"),
    "password_changed": _kind("user.change_password", "user"),
    "sessions_ended": _kind("user.sign_out_everywhere", "user", "reason"),
    "session_opened": _kind(
        "session.open", "session", "user expires_ms until_ms proof restricted", method="rest"
    ),
    "session_refreshed": _kind(
        "session.refresh", "session", "expires_ms restricted", method="rest"
    ),
    "sign_in_failed": _kind("user.sign_in", "user", "reason count", outcome=REFUSED, method="rest"),
    "user_password_rehashed": _kind("user.rehash_password", "user", method="system"),
    "user_synchronised": _kind(
        "user.synchronise", "user", "display_name email role suspended reason", method="system"
    ),
    "directory_put": _kind("directory.put", "", DIRECTORY_VALUES),
    "directory_removed": _kind("directory.remove", "", DIRECTORY_VALUES),
    "identity_provider_put": _kind("identity_provider.put", "", PROVIDER_VALUES),
    "identity_provider_removed": _kind("identity_provider.remove", "", PROVIDER_VALUES),
    "session_ended": _kind("session.end", "session", "reason"),
    "second_factor_begun": _kind("user.begin_second_factor", "user", "proof"),
    "second_factor_confirmed": _kind("user.confirm_second_factor", "user"),
    "second_factor_removed": _kind("user.remove_second_factor", "user", "proof"),
    "second_factor_reset": _kind("user.reset_second_factor", "user"),
    "recovery_codes_replaced": _kind("user.replace_recovery_codes", "user", "proof"),
    "second_factor_policy_set": _kind("policy.set_second_factor", "policy", "required"),
    "role_created": _kind("role.create", "role", "name permissions"),
    "role_changed": _kind("role.change", "role", "name permissions"),
    "role_deleted": _kind("role.delete", "role", "name"),
    "registration_set": _kind("registration.set", "", "mode"),
    "user_registered": _kind(
        "user.register", "user", "username email display_name role pending", method="rest"
    ),
    "registration_ignored": _kind(
        "user.register", "", "username reason", outcome=REFUSED, method="rest"
    ),
    "user_approved": _kind("user.approve", "user"),
    "user_invited": _kind("invitation.create", "invitation", "email role custom_role expires_ms"),
    "invitation_revoked": _kind("invitation.revoke", "invitation", "email"),
    "invitation_accepted": _kind(
        "invitation.accept",
        "invitation",
        "user username email display_name role custom_role",
        method="rest",
    ),
    EVIDENCE_READ: _kind("evidence", "object_id", "details"),
    "tenant_requested": _kind("tenant.create", "tenant"),
    "tenant_adopted": _kind("tenant.adopt", "tenant", "name"),
    "tenant_created": _kind("tenant.confirm_creation", "tenant", method="system"),
    "tenant_changed": _kind("tenant.change", "tenant", "name phone industry country data_region"),
    "tenant_suspended": _kind("tenant.suspend", "tenant", "reason"),
    "tenant_resumed": _kind("tenant.resume", "tenant"),
    "tenant_deletion_requested": _kind("tenant.delete", "tenant", "reason due_ms"),
    "tenant_deletion_cancelled": _kind("tenant.cancel_deletion", "tenant"),
    "tenant_destruction_begun": _kind("tenant.begin_destruction", "tenant", method="system"),
    "tenant_destroyed": _kind("tenant.confirm_destruction", "tenant", method="system"),
    "tenant_granted": _kind("tenant.grant", "tenant", "user former granted"),
    "tenant_locked": _kind("tenant.lock", "", "locked reason", method="system"),
    "nats_credential_made": _kind(
        "nats_credential.create", "credential", "name sources expires_ms"
    ),
    "nats_credential_adopted": _kind(
        "nats_credential.adopt", "credential", "name", method="system"
    ),
    "nats_credential_rotated": _kind(
        "nats_credential.rotate", "credential", "successor until_ms expires_ms"
    ),
    "nats_credential_signed": _kind("nats_credential.sign", "credential", method="system"),
    "nats_credential_revoked": _kind("nats_credential.revoke", "credential", "reason"),
    "nats_credential_cut": _kind(
        "nats_credential.confirm_revocation", "credential", method="system"
    ),
    "rejected": _kind("command.refuse", "", "code detail", outcome=REFUSED, method="nats"),
}
"""Every kind that an auditor is shown more of than its name."""


FILTERS: Final = ("actor", "operation", "object_type", "object_id", "outcome", "address")
TABLES: Final[Mapping[str, frozenset[str]]] = {
    "details": frozenset({*FILTERS, "from", "to", "q", "format", "home"}),
    "proof": frozenset({"method"}),
}
"""Fields that hold a table, and what may be shown of it. No other field is shown with anything inside."""


@dataclass(frozen=True, slots=True)
class AuditFacts:
    """A record as an auditor sees it; `method` and `address` are empty where nothing is known."""

    operation: str
    object_type: str
    object_id: str
    method: str = ""
    address: str = ""
    outcome: Outcome = DONE
    before: dict[str, Any] = field(default_factory=dict)
    after: dict[str, Any] = field(default_factory=dict)


def audit_facts(kind: str, content: bytes | None) -> AuditFacts:
    """What a record says; of an unknown kind, or once the content is erased, only what kind it is."""
    known = AUDIT_KINDS.get(kind)
    if known is None:
        return AuditFacts(operation=kind, object_type="", object_id="")
    said = _object(content)
    operation, object_type = known.operation, known.object_type
    if kind == EVIDENCE_READ:
        operation = f"{operation}.{_text(said.get('operation'))}"
        object_type = _text(said.get("object_type"))
    origin = said.get("origin")
    origin = origin if isinstance(origin, dict) else {}
    after = said.get(AFTER)
    return AuditFacts(
        operation=operation,
        object_type=object_type,
        object_id=_text(said.get(known.object_field)),
        method=_text(origin.get("method")) or known.method or "",
        address=_text(origin.get("address")) or _text(said.get("address")),
        outcome=known.outcome,
        before=_shown(said.get(BEFORE), known.values),
        after=_shown(after if isinstance(after, dict) else said, known.values),
    )


def kinds_of(operation: str | None, object_type: str | None, outcome: str | None) -> Iterable[str]:
    """The kinds among which all records of an operation, an object type or an outcome are; for an
    operation that is no known one, the kind of this name."""
    # What was done with evidence stands in the record, so its kind promises only the first word.
    operations = {operation, operation.partition(".")[0]} if operation else None
    if operations and not operations & {kind.operation for kind in AUDIT_KINDS.values()}:
        return [operation or ""]
    return [
        name
        for name, kind in AUDIT_KINDS.items()
        if (operations is None or kind.operation in operations)
        and (object_type is None or object_type in _object_types(name, kind))
        and (outcome is None or kind.outcome == outcome)
    ]


def _object_types(name: str, kind: AuditKind) -> frozenset[str]:
    return EVIDENCE_TYPES if name == EVIDENCE_READ else frozenset({kind.object_type})


def _object(content: bytes | None) -> dict[str, Any]:
    said = orjson.loads(content) if content is not None else None
    return said if isinstance(said, dict) else {}


def _text(value: Any) -> str:
    return value if isinstance(value, str) else ""


def _shown(said: Any, names: frozenset[str]) -> dict[str, Any]:
    if not isinstance(said, dict):
        return {}
    shown: dict[str, Any] = {}
    for name in names & said.keys():
        value = said[name]
        if name in TABLES:
            shown[name] = _shown(value, TABLES[name])
        elif _is_plain(value) or (isinstance(value, list) and all(map(_is_plain, value))):
            shown[name] = value
    return dict(sorted(shown.items()))


def _is_plain(value: Any) -> bool:
    """Whether there is nothing inside a value that its name does not promise."""
    return value is None or isinstance(value, str | int | float)
