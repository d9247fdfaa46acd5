"""A plain Flask view that stores a message and enqueues a task for it."""
