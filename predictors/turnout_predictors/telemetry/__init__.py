"""What the process says about itself: metrics, logs, and the message it leaves when it cannot start."""
