"""Posts to the webhook endpoints of clients, and to nothing that must not be reached."""
