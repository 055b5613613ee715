"""What grades the homeworks: properties (theorems), exercises' tests, grading, and handouts."""
