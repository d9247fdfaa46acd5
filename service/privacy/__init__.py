"""Redacts, erases and purges personal data."""
