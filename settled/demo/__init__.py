"""The main job against the sandbox, and a judge who believes nobody."""
