"""What can go wrong in the store.

StoreError
  + NotCanonical      a value that has no single byte form (a float, a lone surrogate)
  + SealBroken        a ciphertext that does not open: wrong key, wrong place, or altered
  + ContentMismatch   opened, but not what the chain committed to
  + KeyMissing        a key that should be there is not
  + WrongPlace        a duplicate key: somebody else wrote at this place of the chain
"""


class StoreError(Exception):
    """Base of the store's errors."""


class NotCanonical(StoreError):
    """The value can't be hashed: it has no single canonical byte form."""


class SealBroken(StoreError):
    """A ciphertext does not open under its key at its place."""


class ContentMismatch(StoreError):
    """The opened content is not what its record committed to."""


class KeyMissing(StoreError):
    """A wrapped key is not in the database, or the root key is another one."""


class WrongPlace(StoreError):
    """Another writer holds a place of this batch; nothing after it was written."""
