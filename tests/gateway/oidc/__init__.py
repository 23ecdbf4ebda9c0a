"""Signing in at identity providers."""
