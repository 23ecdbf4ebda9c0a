"""Wardroom measures itself and, in the same run, the raw limits of the machine under it."""
