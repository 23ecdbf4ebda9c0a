"""The gateway: REST and WebSocket in, commands out; committed entries in, frames out."""
