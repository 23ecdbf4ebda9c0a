"""The contract of the actors' mailboxes: ids, subjects, commands, events, errors and limits.

Pure (stdlib, pydantic and orjson): importing it costs no connection and can make no cycle.
"""
