"""Talk to FHIR, SMART and OpenID Connect servers of other organisations: guarded requests, code flow, id tokens."""
