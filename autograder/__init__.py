"""What grades the homeworks: properties (theorems), exercises' tests, grading, and handouts."""

import os

# Before anything imports torch; deepul_utils says why.
os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")
