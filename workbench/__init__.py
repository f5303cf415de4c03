"""Migration Workbench: moves a legacy model and its data to an AI-native platform, and proves it was safe."""

__version__ = "0.1.0"
