"""The configuration: its models, its reader with exact error places, and the shipped defaults."""
