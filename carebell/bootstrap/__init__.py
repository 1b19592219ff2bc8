"""The parts of a node and their wiring: components, preflight, the active configuration, reload, and the service."""
