"""The migration for reviewers: a server of its own, from stored evidence, with a login and signed decisions."""
