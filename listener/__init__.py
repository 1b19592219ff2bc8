"""MLLP: read frames from bytes and send answers, over TCP and TLS. It does not know HL7."""
