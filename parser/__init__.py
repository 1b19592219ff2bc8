"""HL7 v2: verified bytes to a scheduling event, and the acknowledgements back; pure."""
