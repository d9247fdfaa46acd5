"""Tells clients what became of their messages, by signed HTTPS requests."""
