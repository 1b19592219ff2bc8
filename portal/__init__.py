"""The HTTP side: the webhooks of the gateway, health and metrics."""
