"""The HTTP port: the gateway's webhooks, health and metrics."""
