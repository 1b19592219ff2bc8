"""Log events, their redaction, and metrics."""
