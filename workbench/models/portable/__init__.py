"""What runs in a model's own environment: a few files that need nothing of ours.

Standard library, numpy, pandas and pyarrow only, and no syntax newer than Python 3.6. There the folder is a package of
its own (`environment_model.START`), so what is in it imports only its neighbours, relatively.
"""
