"""What a text costs, how long it is, and how it is made cheaper."""
