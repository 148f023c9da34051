"""What the project claims of itself, measured: the harness's own time, and damage."""
