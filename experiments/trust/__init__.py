"""What the project claims of itself, measured: that damage is found, intervals hold, and so on."""
