"""Recipients who opted out of hearing from a sender."""
