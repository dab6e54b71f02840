"""From a project file to a run folder that people can use."""
