"""The generated pages of docs/reference: one function for each page, which makes it from the code that it documents."""
