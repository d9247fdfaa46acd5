"""The JSON of messages, for the API, webhooks and the event feed."""
