"""A simulated EHR's FHIR server with SMART sign-in, which is an OpenID Connect identity provider too. It holds no patient."""
