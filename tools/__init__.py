"""What builds, runs and checks the book. Nothing here is needed to read a chapter."""
