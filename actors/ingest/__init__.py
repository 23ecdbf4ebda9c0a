"""Ingest: what external systems publish becomes findings, and grave findings become incidents."""
