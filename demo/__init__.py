"""The whole story in a minute and a half: `python -m demo`.

Four versions of a model that reads handwritten digits, real processes behind a real Envoy, and callers who never
stop asking. Nothing here is imported by Turnout; the demo uses its commands, its files and its view as anybody may.
"""
