"""State that replicas share in Redis: cache, heartbeats, rate limits, circuit breaker."""
