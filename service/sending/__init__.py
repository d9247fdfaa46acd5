"""From a posted message to the provider: accept, claim, deliver, record the result."""
