"""The measurements: how fast Waybill is on this machine, beside two other ways to do its work."""
