"""REST under /api/v1, one file a noun; and what stands outside it."""
