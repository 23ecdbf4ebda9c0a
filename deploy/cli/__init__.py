"""The command line. Each command is a file; only the asked one is imported, so that all start fast."""
