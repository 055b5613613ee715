"""What the models of one family share: an adapter to a student's code, and the checks that each of them must pass."""
