"""What callers lose when a canary breaks: Turnout beside KServe's canaryTrafficPercent, on one real cluster."""
