"""Tests of `carebell.bootstrap`."""
