"""Bytes in, SMS out: the whole product over real sockets, with the clock in the test's hand.

Here belongs what only the rooms together can show. What one room decides alone is tested in that room's folder.
"""
