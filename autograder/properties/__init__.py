"""The theorems that checks rest on, on plain callables and arrays.

A property knows no exercise, no notebook and no torch. It takes numpy arrays, or callables from arrays
to arrays, and returns a `Finding`.
"""
