"""The Redis serialization protocol, versions 2 and 3: pure codecs, bytes in and bytes out."""
