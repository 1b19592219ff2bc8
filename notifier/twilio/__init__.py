"""Texts through Twilio: all that is Twilio's, its codes, words, webhooks and library, stands in this package."""
