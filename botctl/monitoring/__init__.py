"""Messages, alerts, heartbeat and metrics."""
