"""What front ends show of convexlab beside JupyterLab's own renderer.

Reading order: `live` (the widget of a live result, and how it is fed). What the
page runs is built from `widgets/src` into `static/`.
"""
