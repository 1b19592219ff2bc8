"""The patients' pages: an application, an origin and a port of their own. They know tokens, and no person."""
