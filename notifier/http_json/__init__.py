"""Texts through any gateway that takes JSON over HTTPS: the protocol is ours, docs/reference/http-gateway.md states it."""
