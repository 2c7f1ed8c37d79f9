"""How Nutshell is made. Not part of the package."""
