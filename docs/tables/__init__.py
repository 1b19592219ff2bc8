"""The generated pages of docs/reference: one function a page, each made from the code it documents and from nothing else."""
