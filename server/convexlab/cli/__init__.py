"""The command line.

Reading order: main (the commands, and how errors are said) · serve · dev ·
deploy · run · import_ · admin_key · folder (a functions folder as modules) · words (what several of them say and take).
"""
