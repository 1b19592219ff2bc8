"""Texts and the gateways that carry them."""
