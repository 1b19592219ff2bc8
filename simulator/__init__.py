"""The outside world, simulated: a sending EHR and a Twilio with faults."""
