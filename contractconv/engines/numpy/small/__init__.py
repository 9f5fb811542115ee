"""Steps of few points: Python takes longer over a call than a processor over the numbers."""
