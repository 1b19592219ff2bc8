"""Putting a node together: components, preflight, the active configuration, reload, and the service that runs them."""
