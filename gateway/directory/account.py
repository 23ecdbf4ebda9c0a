"""What the attributes of an entry say of its account: disabled, expired, locked, password to be changed."""

import re
from collections.abc import Mapping, Sequence
from typing import Final

from gateway.directory.people import AccountState, Denial
from gateway.directory.settings import Flavour

Raw = Mapping[str, Sequence[bytes]]
"""An entry's attributes by lower-case name."""

ATTRIBUTES: Final[dict[Flavour, tuple[str, ...]]] = {
    Flavour.ACTIVE_DIRECTORY: (
        "userAccountControl",
        "msDS-User-Account-Control-Computed",
        "accountExpires",
        "lockoutTime",
        "pwdLastSet",
    ),
    Flavour.LDAP: ("pwdAccountLockedTime", "pwdReset", "nsAccountLock", "shadowExpire"),
}
"""Attributes that are asked for by name, because servers leave computed ones out else."""

UAC_DISABLED: Final = 0x2
UAC_LOCKED: Final = 0x10
UAC_PASSWORD_NEVER_EXPIRES: Final = 0x10000
UAC_PASSWORD_EXPIRED: Final = 0x800000
"""Bits of userAccountControl and of its computed twin, [MS-ADTS] sections 2.2.16 and 3.1.1.4.5.17."""
NEVER: Final = (0, 0x7FFFFFFFFFFFFFFF)
"""accountExpires of an account that does not."""
FILETIME_EPOCH_S: Final = 11_644_473_600
"""Seconds from 1601, where AD's clock starts, to 1970."""
FILETIME_UNITS_PER_S: Final = 10_000_000
LOCKED_FOR_GOOD: Final = b"000001010000Z"
"""pwdAccountLockedTime of an account that only an administrator opens (draft-behera-password-policy)."""
DAY_S: Final = 86_400

AD_DATA: Final = re.compile(r"\bdata ([0-9a-fA-F]{1,8})\b")
DENIALS_OF_AD: Final[dict[str, Denial]] = {
    "525": Denial.UNKNOWN,
    "52e": Denial.WRONG_PASSWORD,
    "530": Denial.NOT_NOW_OR_HERE,
    "531": Denial.NOT_NOW_OR_HERE,
    "532": Denial.PASSWORD_EXPIRED,
    "533": Denial.DISABLED,
    "701": Denial.EXPIRED,
    "773": Denial.MUST_CHANGE_PASSWORD,
    "775": Denial.LOCKED,
}
"""Windows error codes, in hex, that AD puts into the text of result 49."""


def state_of(raw: Raw, flavour: Flavour, now_s: float) -> AccountState:
    """The state of an account. An attribute that can't be read is taken as absent."""
    if flavour is Flavour.ACTIVE_DIRECTORY:
        return _state_in_active_directory(raw, now_s)
    return _state_in_ldap(raw, now_s)


def ad_data(message: str) -> str:
    """The code in a text of Active Directory such as `..., data 533, v1db1`; else empty."""
    found = AD_DATA.search(message)
    return found[1].lower() if found else ""


def _state_in_active_directory(raw: Raw, now_s: float) -> AccountState:
    control = _number(raw, "useraccountcontrol") or 0
    computed = _number(raw, "msds-user-account-control-computed")
    expires = _number(raw, "accountexpires") or 0
    # lockoutTime stays set after the lock is over; the computed bit knows when it is.
    locked = (
        bool(computed & UAC_LOCKED) if computed is not None else _number(raw, "lockouttime") or 0
    )
    if control & UAC_DISABLED:
        return AccountState.DISABLED
    if expires not in NEVER and expires / FILETIME_UNITS_PER_S - FILETIME_EPOCH_S <= now_s:
        return AccountState.EXPIRED
    if locked:
        return AccountState.LOCKED
    if _number(raw, "pwdlastset") == 0 and not control & UAC_PASSWORD_NEVER_EXPIRES:
        return AccountState.MUST_CHANGE_PASSWORD
    if (computed or 0) & UAC_PASSWORD_EXPIRED:
        return AccountState.PASSWORD_EXPIRED
    return AccountState.ACTIVE


def _state_in_ldap(raw: Raw, now_s: float) -> AccountState:
    locked = raw.get("pwdaccountlockedtime", ())
    expire_day = _number(raw, "shadowexpire")
    if LOCKED_FOR_GOOD in locked or _is_true(raw, "nsaccountlock"):
        return AccountState.DISABLED
    if expire_day is not None and expire_day >= 0 and expire_day * DAY_S <= now_s:
        return AccountState.EXPIRED
    # Another time there is when a lock began. Only the policy knows how long it lasts: the bind tells.
    if _is_true(raw, "pwdreset"):
        return AccountState.MUST_CHANGE_PASSWORD
    return AccountState.ACTIVE


def _number(raw: Raw, name: str) -> int | None:
    for value in raw.get(name, ())[:1]:
        # The 20 digits of a 64-bit number; int() of more is slow work for nothing.
        if re.fullmatch(rb"-?[0-9]{1,20}", value):
            return int(value)
    return None


def _is_true(raw: Raw, name: str) -> bool:
    return any(value.upper() == b"TRUE" for value in raw.get(name, ()))
