"""One file a version, oldest first; never edited after a release."""
