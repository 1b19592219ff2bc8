"""The front door: every command as its user meets it, by exit code, output and files."""
