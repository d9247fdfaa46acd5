"""From an accepted callback to the status of a message: consume the inbox, record."""
