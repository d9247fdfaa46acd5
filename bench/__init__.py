"""Benchmarks: Waybill compared with two other designs on this machine."""
