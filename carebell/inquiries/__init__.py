"""Read-only questions that the command line and the portal's pages both ask. Values come back; nothing is printed or changed."""
