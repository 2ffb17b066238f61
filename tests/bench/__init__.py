"""What the broker costs beside what a user would write by hand: `python -m tests.bench` (docs/performance.md).

Everything is judged as a ratio within one run on one machine. Nothing here is a test, and no test looks at a clock.
"""
