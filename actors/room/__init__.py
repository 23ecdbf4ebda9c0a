"""The room, pure: its state, what a command makes of it, what an event does to it."""
