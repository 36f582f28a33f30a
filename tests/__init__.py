"""The tests of everything; `support` holds what they share."""
