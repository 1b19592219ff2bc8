"""What the patients' pages do, behind the protocols of `portal.join`: the waiting room, the way to the meeting, and their door."""
