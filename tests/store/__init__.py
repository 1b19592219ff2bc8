"""Tests of the room `store`, one suite on SQLite and on PostgreSQL."""
