"""Settings: read from the environment, validated, and documented by their descriptions."""
