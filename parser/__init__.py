"""HL7 v2: read verified bytes into a scheduling event, and build acknowledgements; pure."""
