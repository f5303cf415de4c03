"""What a headless kernel is told by its environment."""

PLACE = "WORKBENCH_PLACE"
"""The folder its notebook's evidence goes to."""
FORCE = "WORKBENCH_FORCE"
"""Set where stored evidence must not be used."""
DASHBOARD = "WORKBENCH_DASHBOARD"
"""The migration's folder, where a reviewer looks at the notebook: stored evidence is shown, and nothing is computed."""
