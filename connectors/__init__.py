"""Connector workers: they poll other products, publish events, and never touch the database."""
