"""The documentation as a site: its settings and its navigation."""
