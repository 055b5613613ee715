"""Slips."""

from autograder.proof.changes import Mutant

MUTANTS: tuple[Mutant, ...] = ()
