"""Parse Redis URLs and connect to Redis."""
