"""MLLP: bytes to frames and answers back, over TCP and TLS; knows no HL7."""
