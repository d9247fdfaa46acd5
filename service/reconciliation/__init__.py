"""Ask providers about messages in doubt (look-up) and messages without a final status (poll)."""
