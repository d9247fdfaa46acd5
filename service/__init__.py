"""Waybill: sends SMS through providers and records what became of each message."""
