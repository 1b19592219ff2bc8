"""The portal in a real browser: Debian's chromium, driven by playwright. `make browser` says what it needs and runs it."""
