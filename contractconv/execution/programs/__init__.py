"""Programs, carried out: step by step, with every array let go when nobody reads it any more."""
