"""Every figure that the README and the docs quote, measured against the library's peers."""
