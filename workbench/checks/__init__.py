"""The checks behind `21_readiness`: what data and measures say about one migration's tables, as `data.trouble.Trouble`.

They stand between: they know tables, models' inputs and roles, which `measure` must not, and judge nothing, which
the audit does.
"""
