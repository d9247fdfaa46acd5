"""Messages from recipients: recorded once, with their effects."""
