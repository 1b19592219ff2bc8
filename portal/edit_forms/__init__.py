"""Forms of the configuration: values as fields, what was typed as edits, problems beside their fields. Pure."""
