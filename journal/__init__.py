"""What the service says: log events, their redaction, and metrics."""
