"""The checks are checked: known wrong answers are caught, unusual right ones pass, references are measured."""
