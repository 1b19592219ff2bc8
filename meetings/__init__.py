"""Meetings: where a video visit takes place, behind one port. Each kind is a module or package of its own."""
