"""Decide what to send and when: a pure plan, quiet hours, and clocks."""
