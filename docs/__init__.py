"""The documentation; `docs.generate` writes the parts of it that are made from the code. Not part of the installed product."""
