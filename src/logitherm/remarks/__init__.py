"""What is wrong with a recipe, before it runs or by the steps of a trace file: `logitherm lint`."""
