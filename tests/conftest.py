"""How hard the property tests look: the environment variable HYPOTHESIS_PROFILE says.

``ci`` (the default) draws the same cases every time; ``deep`` draws many, and new ones each time.
"""

import os

from hypothesis import HealthCheck, settings

# A shared machine may stall for seconds: slowness is no finding of a property test.
_patient = settings(deadline=None, suppress_health_check=[HealthCheck.too_slow])

settings.register_profile("ci", _patient, max_examples=300, derandomize=True)
settings.register_profile("deep", _patient, max_examples=5000, print_blob=True)
settings.load_profile(os.environ.get("HYPOTHESIS_PROFILE", "ci"))
