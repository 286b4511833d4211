"""The .keras files of the models that ship, `NAME.keras`; `zoo.checkpoint(NAME)` finds them.

Using the models takes none of them: they are where training starts and what is exported.
"""
