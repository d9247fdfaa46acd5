"""Logs, events, error reports, traces and metrics."""
