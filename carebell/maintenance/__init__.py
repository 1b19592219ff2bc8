"""The tasks that a node does by itself: retention, clock_guard, certificates, periodic tasks, health."""
