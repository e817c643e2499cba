"""Shared helpers of the Python tests; see the head of each module, and tests/conftest.py for the fixtures."""
