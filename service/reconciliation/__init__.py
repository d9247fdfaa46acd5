"""Asks providers about messages in doubt and about messages without callbacks."""
