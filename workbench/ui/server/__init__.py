"""The Jupyter Server extension: what the panel in JupyterLab asks, over HTTP. Importing this loads nothing heavy."""
