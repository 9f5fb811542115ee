"""The version of the library, written down once."""

VERSION = "0.1.0"
