"""The whole story in less than two minutes: `python -m demo`.

Five versions of a model that reads handwritten digits, real processes behind a real Envoy, and callers who never
stop asking. Nothing here is imported by Turnout; the demo uses its commands, its files and its view as anybody may.
"""
