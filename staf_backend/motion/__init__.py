"""One person's motion over time: the type that all estimators make and all writers take."""
