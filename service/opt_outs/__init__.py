"""The suppression list: recipients who opted out of messages from a sender."""
