"""What can end a measurement without a result."""


class BenchError(Exception):
    """The measurement can't be made or can't be trusted; the text says why and what to do."""
