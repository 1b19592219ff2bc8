"""What to send and when: a pure plan, quiet hours, and the clocks that ring."""
