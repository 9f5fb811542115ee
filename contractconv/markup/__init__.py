"""What pages are made of: their style, their parts, and how an object shows itself."""
