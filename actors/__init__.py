"""Room and tenant actors: the only writers of Wardroom."""
