"""Measurements that the book's statements about time come from."""
