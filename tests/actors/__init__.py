"""The actors: pure rules by tables and properties, the runtime on real servers."""
