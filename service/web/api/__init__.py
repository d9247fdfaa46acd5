"""The JSON API for internal services."""
