"""What Sphinx does with these pages beyond what it can do by itself."""
