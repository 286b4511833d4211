"""Films: what they are, their frames in RGB, how frames are coded, and files put together."""
