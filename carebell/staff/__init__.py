"""What the portal's pages ask for and do, one module a family of pages. The protocols are `portal`'s."""
