"""Texts through any gateway that takes JSON over HTTPS. docs/reference/http-gateway.md defines the protocol."""
