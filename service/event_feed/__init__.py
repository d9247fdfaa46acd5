"""The events of a client in one order, to read instead of webhooks."""
