"""The runtime: who owns what, how commands are read, how they are committed."""
