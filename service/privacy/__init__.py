"""Redact, erase and purge personal data."""
