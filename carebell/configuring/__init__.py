"""Proposing, foreseeing, saving and restoring configurations: what the command line's `config` and the portal share."""
