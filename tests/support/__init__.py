"""What several test packages share. Public code only: a test's own setup stays in the test."""
