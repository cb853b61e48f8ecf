"""What a person sees: one frozen tree, drawn as text, live on a terminal, or told as a page."""
