"""Texts through Twilio. Everything that is specific to Twilio (codes, words, webhooks, library) is in this package."""
