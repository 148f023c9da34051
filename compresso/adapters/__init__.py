"""Other people's interfaces to our codecs, one a file."""
