"""The project's own checker: a model that is taught to hold sentences against a source."""
