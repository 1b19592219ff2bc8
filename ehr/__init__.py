"""Know the EHR: check its FHIR server, prove access to it, name what is approved, write integration records."""
