"""Simulated servers of meetings: a Jitsi server's prosody. None is needed to run Carebell."""
