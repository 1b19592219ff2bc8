"""The HTTP side: Twilio webhooks, health and metrics."""
