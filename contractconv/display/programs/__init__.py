"""Programs, explained: a formula a line, what comes back beside what goes forward, a picture."""
