"""The documentation, and what remakes its pictures and outputs."""
