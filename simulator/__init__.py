"""A simulated sending EHR and a simulated Twilio with faults."""
