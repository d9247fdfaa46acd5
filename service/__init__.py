"""Waybill: sends SMS by Twilio and Sinch, and records what became of each message."""
