"""MongoDB, the hash chain, keys and sealing: knows bytes and headers, not what a message means."""
