"""The rules of the business. Standard library only: no clock, no database, no network."""
