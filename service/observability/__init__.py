"""Logs, events, error reports, traces and metrics. Nothing here decides anything."""
