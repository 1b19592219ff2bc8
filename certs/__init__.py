"""Certificates and signatures: checks whose key signed a message, and that the key belongs to the message's environment."""
