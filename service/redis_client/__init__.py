"""How every process connects to Redis: the URL, and connections without a shared pool."""
