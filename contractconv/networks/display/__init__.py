"""Networks as tables, texts, pages and pictures."""
