"""What operators see and do: overview, timeline, actions, audit, rebuild."""
