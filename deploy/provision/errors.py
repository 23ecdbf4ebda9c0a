"""What provisioning can't do by itself, each with what a person can do about it."""


class ProvisionError(Exception):
    """A step could not be done.

    Attributes:
        code: one stable word.
        what: what happened.
        remedy: what to do.
    """

    def __init__(self, code: str, what: str, remedy: str) -> None:
        super().__init__(f"{code}: {what}; {remedy}")
        self.code = code
        self.what = what
        self.remedy = remedy
