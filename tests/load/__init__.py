"""What must not grow: work per request, memory, consumers. Counts rather than times."""
