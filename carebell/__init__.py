"""Carebell: signed HL7v2 scheduling messages in, appointment text messages out."""
