"""The whole system on one machine: embedded servers and our own processes as children."""
