"""What `migrate.mitigate` makes its candidates of: groups of people, thresholds for each, refitted models."""
